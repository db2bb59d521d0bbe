"""Who may connect, and on what terms: one scenario on every server, over real sockets."""

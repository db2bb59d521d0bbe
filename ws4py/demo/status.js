// The status page: asks once a second, through a WebSocket, and shows the numbers that it is told.
//
// We send an empty message; the server answers with a JSON object: "time" (seconds, of a clock of its own) and what
// ws4py.metrics.Snapshot has. What happens in a second is the difference of two answers.

const url = new URL("live", location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
url.search = url.hash = "";

const INTERVAL = 1000; // milliseconds
const KEPT = 60; // points in a plot
const FIRST_DELAY = 500; // milliseconds, doubled at every failure
const LONGEST_DELAY = 15000;
const STATES = { connecting: "Connecting", open: "Live", reconnecting: "Reconnecting" };
const CODES = {
  1000: "normal", 1001: "going away", 1002: "protocol error", 1003: "unsupported data", 1005: "no code", 1006: "vanished",
  1007: "invalid text", 1008: "policy", 1009: "too big", 1010: "extension missing", 1011: "internal error",
  1012: "service restart", 1013: "try again later", 1014: "bad gateway", other: "of an application",
};

const byId = (id) => document.getElementById(id);
const points = new Map(); // name -> the latest numbers
let failures = 0;
let before = null;

function connect() {
  show(failures ? "reconnecting" : "connecting");
  const socket = new WebSocket(url);
  socket.onopen = () => socket.send("");
  socket.onmessage = (event) => {
    failures = 0;
    show("open");
    receive(JSON.parse(event.data));
    setTimeout(() => socket.readyState === WebSocket.OPEN && socket.send(""), INTERVAL);
  };
  socket.onclose = () => {
    before = null; // after a restart the server counts anew
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** failures) * (0.5 + Math.random() / 2);
    failures += 1;
    setTimeout(connect, delay);
    show("reconnecting");
  };
}

function show(state) {
  byId("state").dataset.state = state;
  byId("state").textContent = STATES[state];
}

function receive(now) {
  const since = (count) => (before ? (count(now) - count(before)) / (now.time - before.time) : 0);
  const received = (numbers) => numbers.text_received + numbers.binary_received;
  const sent = (numbers) => numbers.text_sent + numbers.binary_sent;
  figure("connections", now.connections, count);
  figure("messages-in", since(received), rate);
  figure("messages-out", since(sent), rate);
  figure("bytes-in", since((numbers) => numbers.bytes_received), size);
  figure("bytes-out", since((numbers) => numbers.bytes_sent), size);
  figure("queue", now.queues.total, size);
  write("opened", count(now.opened));
  write("text-in", count(now.text_received));
  write("binary-in", count(now.binary_received));
  write("text-out", count(now.text_sent));
  write("binary-out", count(now.binary_sent));
  write("dropped", count(now.dropped));
  write("bytes-in-total", size(now.bytes_received));
  write("bytes-out-total", size(now.bytes_sent));
  write("longest", size(now.queues.longest));
  const { count: pings, total, last, longest } = now.latency;
  write("pings", count(pings));
  write("latency", pings ? duration(total / pings) : "–");
  write("latency-last", pings ? duration(last) : "–");
  write("latency-longest", pings ? duration(longest) : "–");
  closes(now.closes);
  before = now;
}

function write(id, text) {
  byId(id).textContent = text;
}

// A number with its plot of the last minute, the newest at the right.
function figure(id, number, format) {
  write(id, format(number));
  const kept = [...(points.get(id) ?? []), number].slice(-KEPT);
  points.set(id, kept);
  const most = Math.max(...kept, 1);
  const line = kept.map((each, at) => `${KEPT - kept.length + at + 0.5},${(19 - (18 * each) / most).toFixed(2)}`);
  document.querySelector(`[data-plot="${id}"] polyline`).setAttribute("points", line.join(" "));
}

function closes(codes) {
  const rows = Object.entries(codes).sort(([one], [other]) => one.localeCompare(other));
  byId("no-closes").hidden = rows.length > 0;
  byId("closes").replaceChildren(
    ...rows.map(([code, number]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      const name = document.createElement("span");
      name.textContent = CODES[code] ?? "";
      head.append(`${code} `, name);
      const cell = document.createElement("td");
      cell.textContent = count(number);
      row.append(head, cell);
      return row;
    }),
  );
}

const count = (number) => number.toLocaleString("en");
const rate = (number) => (number < 10 ? number.toFixed(1) : count(Math.round(number)));
const duration = (seconds) => (seconds < 1 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`);

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (bytes >= 1024 && at < units.length - 1) {
    bytes /= 1024;
    at += 1;
  }
  return `${at ? bytes.toFixed(1) : Math.round(bytes)} ${units[at]}`;
}

connect();

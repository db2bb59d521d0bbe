// The chat's page: one WebSocket, which comes back by itself, and the few elements that show what it says.
//
// Text messages are JSON objects with a "type": we send join {name} and say {text}; the server sends welcome {id, name,
// peers, limits}, join and leave {id, name}, say {id, name, text} and error {text}. A binary message that we send is one
// byte n, n bytes of a file's name (UTF-8), then its content; it arrives with four more bytes in front, the sender's id.
// Whatever a peer wrote goes into the page through textContent only.

const url = new URL("ws", location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
url.hash = "";

const FIRST_DELAY = 500; // milliseconds, doubled at every failure
const LONGEST_DELAY = 15000;
const CONNECT_TIMEOUT = 10000;
const LOG_LIMIT = 300; // entries kept in the page
const STATES = { connecting: "Connecting", open: "Connected", reconnecting: "Reconnecting", closed: "Disconnected" };
const BUTTONS = { connecting: "Disconnect", open: "Disconnect", reconnecting: "Retry now", closed: "Connect" };

const byId = (id) => document.getElementById(id);
const log = byId("log");
const text = byId("text");
const nameInput = byId("name");
const canvas = byId("canvas");

let socket = null;
let state = "";
let failures = 0; // attempts since the last welcome
let timer = 0;
let me = 0;
let following = true;
let peers = new Map(); // id -> name
let limits = { name: 24, text: 2000, binary: 1048576 };

// ---- connection ----------------------------------------------------------

function connect() {
  clearTimeout(timer);
  show(failures ? "reconnecting" : "connecting");
  const current = new WebSocket(url);
  socket = current;
  current.binaryType = "arraybuffer";
  timer = setTimeout(() => lost(current, {}), CONNECT_TIMEOUT);
  current.onopen = () => send({ type: "join", name: savedName() });
  current.onmessage = (event) => receive(event.data);
  current.onclose = (event) => lost(current, event);
}

function lost(current, event) {
  if (current !== socket) return; // an older connection that was given up
  if (state === "open") note(`Connection lost${event.reason ? `: ${event.reason}` : ""}.`, true);
  release();
  // Exponential backoff with jitter: a thousand pages must not come back in the same moment.
  const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** failures) * (0.5 + Math.random() / 2);
  failures += 1;
  timer = setTimeout(connect, delay);
  show("reconnecting");
}

function disconnect() {
  release(1000);
  note("You left the room.");
  show("closed");
}

function release(code) {
  clearTimeout(timer);
  const old = socket;
  socket = null;
  if (old) {
    old.onopen = old.onmessage = old.onclose = null;
    old.close(code);
  }
  peers = new Map();
  showPeers();
}

function send(message) {
  socket.send(message instanceof Uint8Array ? message : JSON.stringify(message));
}

function receive(data) {
  if (data instanceof ArrayBuffer) {
    receiveBinary(new Uint8Array(data));
    return;
  }
  const message = JSON.parse(data);
  if (message.type === "welcome") {
    welcome(message);
  } else if (message.type === "join") {
    const before = peers.get(message.id);
    peers.set(message.id, message.name);
    note(before === undefined ? `${message.name} came in.` : `${before} is now ${message.name}.`);
    showPeers();
  } else if (message.type === "leave") {
    peers.delete(message.id);
    note(`${message.name} left.`);
    showPeers();
  } else if (message.type === "say") {
    const bubble = make("p", "bubble", message.text);
    bubble.dir = "auto";
    entry(message.id, message.name, bubble);
  } else if (message.type === "error") {
    note(message.text, true);
  }
}

function welcome(message) {
  clearTimeout(timer);
  if (state !== "open") note(`${failures ? "Back" : "You are in"} as ${message.name}.`);
  else if (peers.get(me) !== message.name) note(`You are now ${message.name}.`);
  failures = 0;
  me = message.id;
  limits = message.limits;
  peers = new Map(message.peers.map((peer) => [peer.id, peer.name]));
  text.maxLength = limits.text;
  nameInput.maxLength = limits.name;
  nameInput.value = message.name;
  show("open");
  showPeers();
}

// A name is kept for this tab, so that two tabs are two people and a reload stays who it was.
function savedName() {
  try {
    return sessionStorage.getItem("name") ?? nameInput.value;
  } catch {
    return nameInput.value; // storage is switched off
  }
}

function saveName(name) {
  try {
    sessionStorage.setItem("name", name);
  } catch {
    // storage is switched off: the name lives as long as the page
  }
}

// ---- binary messages -------------------------------------------------------

function sendBinary(name, content) {
  const head = new TextEncoder().encode(name.slice(-60)); // at most 180 bytes
  const packed = new Uint8Array(1 + head.length + content.length);
  packed[0] = head.length;
  packed.set(head, 1);
  packed.set(content, 1 + head.length);
  if (packed.length > limits.binary) note(`${name} is too large: at most ${size(limits.binary)} can be sent.`, true);
  else if (state === "open") send(packed);
  else note(`${name} was not sent: there is no connection.`, true);
}

function receiveBinary(data) {
  const sender = new DataView(data.buffer).getUint32(0);
  const end = Math.min(data.length, 5 + (data[4] ?? 0));
  const name = new TextDecoder().decode(data.subarray(5, end)) || "unnamed";
  const content = data.subarray(end);
  const type = pictureType(content);

  const bubble = make("div", "bubble");
  const link = make("a", "", name);
  // Never the sender's own idea of a type: a blob of HTML would run as part of this page.
  link.href = URL.createObjectURL(new Blob([content], { type: type || "application/octet-stream" }));
  link.download = name;
  if (type) {
    const picture = make("img");
    picture.alt = name;
    picture.onload = follow;
    picture.onerror = () => picture.remove();
    picture.src = link.href;
    bubble.append(picture);
  }
  bubble.append(link, ` (${size(content.length)})`);
  if (!type) {
    const hex = Array.from(content.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    bubble.append(make("code", "", content.length > 16 ? `${hex} …` : hex));
  }
  entry(sender, peers.get(sender) ?? "Somebody", bubble);
}

function pictureType(content) {
  const start = String.fromCharCode(...content.subarray(0, 12));
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (start.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (start.startsWith("GIF8")) return "image/gif";
  if (start.startsWith("RIFF") && start.endsWith("WEBP")) return "image/webp";
  return "";
}

function size(bytes) {
  return bytes < 1024 ? `${bytes} bytes` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`;
}

// ---- what is seen ----------------------------------------------------------

function make(tag, className = "", content = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = content;
  return element;
}

function avatar(id, name) {
  const circle = make("span", "avatar", Array.from(name)[0]?.toUpperCase() ?? "?");
  circle.style.setProperty("--hue", String((id * 137) % 360));
  circle.setAttribute("aria-hidden", "true");
  return circle;
}

function show(next) {
  state = next;
  byId("state").dataset.state = next;
  byId("state").textContent = STATES[next];
  byId("toggle").textContent = BUTTONS[next];
  for (const button of document.querySelectorAll("[data-needs-open]")) button.disabled = next !== "open";
}

function showPeers() {
  byId("count").textContent = String(peers.size);
  byId("peers").replaceChildren(
    ...Array.from(peers, ([id, name]) => {
      const item = make("li");
      item.title = `${name}, number ${id}`;
      item.append(avatar(id, name), make("bdi", "name", name));
      if (id === me) item.append(make("span", "you", "you"));
      return item;
    }),
  );
}

function note(content, bad = false) {
  append(make("p", bad ? "note bad" : "note", content));
}

function entry(id, name, bubble) {
  const now = new Date();
  const time = make("time", "", now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = now.toISOString();
  const who = make("p", "who");
  const bold = make("b");
  bold.append(make("bdi", "", name));
  who.append(bold, ` #${id} · `, time);
  const content = make("div", "content");
  content.append(who, bubble);
  const element = make("div", id === me ? "entry mine" : "entry");
  element.append(avatar(id, name), content);
  append(element);
}

function append(element) {
  log.append(element);
  while (log.childElementCount > LOG_LIMIT) {
    for (const link of log.firstElementChild.querySelectorAll("a")) URL.revokeObjectURL(link.href);
    log.firstElementChild.remove();
  }
  follow();
}

// The newest message stays in sight, unless somebody scrolled up to read.
function follow() {
  if (following) log.scrollTop = log.scrollHeight;
}

// ---- what is done ----------------------------------------------------------

byId("toggle").onclick = () => {
  if (state === "open" || state === "connecting") {
    disconnect();
  } else {
    if (state === "closed") failures = 0;
    release();
    connect();
  }
};

byId("say-form").onsubmit = (event) => {
  event.preventDefault();
  if (state !== "open" || !text.value.trim()) return;
  send({ type: "say", text: text.value });
  text.value = "";
  text.focus();
};

byId("name-form").onsubmit = (event) => {
  event.preventDefault();
  saveName(nameInput.value);
  if (state === "open") send({ type: "join", name: nameInput.value });
};

byId("attach").onclick = () => byId("file").click();
byId("file").onchange = async (event) => {
  for (const file of event.target.files) {
    if (file.size > limits.binary) note(`${file.name} is too large: at most ${size(limits.binary)} can be sent.`, true);
    else sendBinary(file.name, new Uint8Array(await file.arrayBuffer()));
  }
  event.target.value = ""; // the same file may be chosen again
};

const pen = canvas.getContext("2d");

function clearDrawing() {
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.strokeStyle = "#0f766e";
  pen.lineWidth = 4;
  pen.lineCap = pen.lineJoin = "round";
}

function penPosition(event) {
  const scale = canvas.width / canvas.clientWidth;
  return [event.offsetX * scale, event.offsetY * (canvas.height / canvas.clientHeight)];
}

canvas.onpointerdown = (event) => {
  canvas.setPointerCapture(event.pointerId);
  pen.beginPath();
  pen.moveTo(...penPosition(event));
  pen.lineTo(...penPosition(event)); // a touch without a move is a dot
  pen.stroke();
};
canvas.onpointermove = (event) => {
  if (!event.buttons) return;
  pen.lineTo(...penPosition(event));
  pen.stroke();
};

byId("draw").onclick = () => {
  const hidden = !byId("sketch").hidden;
  byId("sketch").hidden = hidden;
  byId("draw").setAttribute("aria-expanded", String(!hidden));
};
byId("clear").onclick = clearDrawing;
byId("send-drawing").onclick = () => {
  canvas.toBlob(async (blob) => {
    sendBinary("drawing.png", new Uint8Array(await blob.arrayBuffer()));
    clearDrawing();
  });
};

log.onscroll = () => {
  following = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
};
new ResizeObserver(follow).observe(log); // the keyboard of a phone, the drawing area

// The network is back: no need to wait for the timer.
window.addEventListener("online", () => {
  if (state === "reconnecting") {
    release();
    connect();
  }
});

clearDrawing();
connect();

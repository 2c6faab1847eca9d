// The playground's moving parts: chat, echo, upload, and how long the identity is good.
"use strict";

const at = (id) => document.getElementById(id);

function chat() {
  const talk = at("talk");
  const button = at("chat").querySelector("button");
  const say = (text, who) => {
    const line = document.createElement("p");
    line.className = `said ${who}`;
    line.textContent = text;
    talk.append(line);
    talk.scrollTop = talk.scrollHeight;
    return line;
  };
  at("chat").addEventListener("submit", (event) => {
    event.preventDefault();
    const prompt = at("prompt").value;
    at("prompt").value = "";
    button.disabled = true;
    say(prompt, "me");
    const answer = say("", "them");
    answer.textContent = "…";
    let begun = false;
    const stream = new EventSource(`/chat?m=${encodeURIComponent(prompt)}`);
    const end = () => { stream.close(); button.disabled = false; talk.dataset.done = "yes"; };
    delete talk.dataset.done;
    stream.addEventListener("message", (word) => {
      answer.textContent = begun ? `${answer.textContent} ${word.data}` : word.data;
      begun = true;
      talk.scrollTop = talk.scrollHeight;
    });
    stream.addEventListener("done", end);
    stream.addEventListener("error", () => {
      if (!begun) answer.textContent = "The stream did not start. Your session may be over: please reload.";
      end();
    });
  });
}

function echo() {
  const state = at("socket-state");
  const show = (text, kind) => { state.textContent = text; state.className = `state ${kind}`; };
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const sent = [];
  let socket;
  const connect = () => {
    socket = new WebSocket(`${scheme}//${location.host}/_event`);
    socket.addEventListener("open", () => show("Connected", "open"));
    socket.addEventListener("close", () => show("Disconnected. Send to connect again.", "closed"));
    socket.addEventListener("message", (event) => {
      const took = Math.max(0.1, performance.now() - sent.shift()).toFixed(1);
      at("echoed").textContent = `“${event.data}” came back in ${took} ms`;
      at("echoed").classList.add("full");
    });
  };
  const send = () => { sent.push(performance.now()); socket.send(at("echo-text").value); };
  at("echo").addEventListener("submit", (event) => {
    event.preventDefault();
    if (socket.readyState === WebSocket.OPEN) { send(); return; }
    sent.length = 0;
    if (socket.readyState !== WebSocket.CONNECTING) connect();
    socket.addEventListener("open", send, { once: true });
  });
  connect();
}

function upload() {
  const result = at("uploaded");
  const show = (text) => { result.textContent = text; result.classList.add("full"); };
  at("file").addEventListener("change", () => {
    const file = at("file").files[0];
    if (!file) return;
    at("file-name").textContent = file.name;
    at("progress").value = 0;
    show("Sending");
    const request = new XMLHttpRequest();
    request.open("POST", "/_upload");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) at("progress").value = event.loaded / event.total;
    });
    request.addEventListener("load", () => {
      if (request.status !== 200) { show(`Not taken: the answer was ${request.status}.`); return; }
      const { size, sha256 } = JSON.parse(request.responseText);
      at("progress").value = 1;
      show(`${size.toLocaleString("en")} bytes arrived, SHA-256 ${sha256}`);
    });
    request.addEventListener("error", () => show("The connection broke. Please try again."));
    request.send(file);
  });
}

function countdown() {
  const left = at("left");
  const show = () => {
    const seconds = Math.max(0, Math.floor(Number(left.dataset.exp) - Date.now() / 1000));
    const minutes = Math.floor(seconds / 60);
    const rest = String(seconds % 60);
    left.textContent = minutes ? `${minutes} min ${rest.padStart(2, "0")} s` : `${rest} s`;
  };
  setInterval(show, 1000);
}

chat();
echo();
upload();
countdown();

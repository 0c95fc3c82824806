// node perfetto_shell.js WEB_DIST < requests > replies: Perfetto's trace processor as its own page runs it, in WebAssembly.
// Requests and replies are bytes of perfetto.protos.TraceProcessorRpcStream. WEB_DIST holds engine_bundle.js.
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const folder = process.argv[2];
const file = (url) => new Uint8Array(fs.readFileSync(path.join(folder, path.basename(url)))).buffer;

class XMLHttpRequest {
  open(_, url) {
    this.url = url;
  }
  send() {
    this.status = 200;
    this.response = file(this.url);
  }
}

// What a worker has, without `process`: the bundle is built for the web only.
const log = (...words) => console.error(...words);
const worker = {
  XMLHttpRequest, TextDecoder, TextEncoder, URL, performance, setTimeout, clearTimeout, crypto,
  console: { log, warn: log, error: log },
  location: { href: "http://localhost/engine_bundle.js" },
  WorkerGlobalScope: function () {},
  importScripts() {},
  fetch: async (url) => ({ ok: true, arrayBuffer: async () => file(url) }),
};
worker.self = worker;
vm.createContext(worker);

const source = fs.readFileSync(path.join(folder, "engine_bundle.js"), "utf8");
const start = "r.onmessage=e=>{e=e.data;t.initialize(e)}";
if (!source.includes(start)) throw new Error("engine_bundle.js is not the one that this script knows");
vm.runInContext(source.replace(start, `${start};r.bridge=t`), worker);

const port = { postMessage: (bytes) => fs.writeSync(1, Buffer.from(bytes)) };

function serve() {
  if (!worker.bridge.reqBufferAddr) return setTimeout(serve, 20);
  const bytes = vm.runInContext("Uint8Array", worker).from(fs.readFileSync(0));
  worker.bridge.initialize(port);
  // One message at a time: its tag, its length as a varint, its bytes.
  for (let at = 0; at < bytes.length; ) {
    let end = at + 1;
    let length = 0;
    let place = 1;
    do {
      length += (bytes[end] & 127) * place;
      place *= 128;
    } while (bytes[end++] & 128);
    end += length;
    port.onmessage({ data: bytes.subarray(at, end) });
    at = end;
  }
}
serve();

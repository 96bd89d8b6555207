// Runs the engine of Perfetto's web page, a WebAssembly module in a web worker, on a file of requests.
// usage: node trace_processor.mjs .../engine_bundle.js REQUESTS REPLIES
import { readFileSync, writeFileSync } from 'node:fs';
import vm from 'node:vm';

const [bundle, requests, replies] = process.argv.slice(2);
const read = (url) => readFileSync(new URL(String(url).replace(/.*\//, ''), 'file://' + bundle));
const answers = [];
const port = { postMessage: (data) => answers.push(Buffer.from(data)) };

const worker = {
  console, URL, TextDecoder, TextEncoder, performance, setTimeout, clearTimeout, crypto,
  location: { href: 'file://' + bundle },
  WorkerGlobalScope: class {},
  importScripts() {},
  XMLHttpRequest: class {
    open(_method, url) {
      this.response = read(url);
    }
    send() {}
  },
  fetch: () => Promise.reject(new Error('the module is read from the disk')),
  // The engine is ready once its reply function is in the module's table.
  noteReady: () => setTimeout(answer, 0),
};
worker.self = worker;
const context = vm.createContext(worker);
vm.runInContext(
  `const set = WebAssembly.Table.prototype.set;
   WebAssembly.Table.prototype.set = function (...given) { set.apply(this, given); noteReady(); };`,
  context,
);
vm.runInContext(readFileSync(bundle, 'utf8'), context, { filename: bundle });
worker.onmessage({ data: port });

let answered = false;
function answer() {
  if (answered) return;
  answered = true;
  port.onmessage({ data: vm.runInContext('Uint8Array', context).from(readFileSync(requests)) });
  writeFileSync(replies, Buffer.concat(answers));
}

// Prints the flow of the ArgusAI guide: its HTTP In node, its function as it stands, and what it leaves to the reader.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const sample = fs.readFileSync(path.join(__dirname, "guides/argus_node_red.js"), "utf8");
const tell = 'node.log("notification " + JSON.stringify(msg.notification)); msg.payload = ""; return msg;';
const step = (id, func, next) => ({ id, type: "function", z: "tab", func, outputs: 1, wires: [[next]] });
console.log(JSON.stringify([
  { id: "tab", type: "tab", label: "porch" },
  { id: "in", type: "http in", z: "tab", url: "/argusai-webhook", method: "post", wires: [["sample"]] },
  step("sample", sample, "tell"),
  step("tell", tell, "out"),
  { id: "out", type: "http response", z: "tab", statusCode: "200", wires: [] },
]));

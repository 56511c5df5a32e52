// Serves a guide's sample receiver as it stands: serve.js FILE. Prints `listening PORT`, then whatever the sample prints.
//
// The samples are fragments: what they leave out (an app, handlers, the port) is put in here.
"use strict";

const fs = require("node:fs");
const vm = require("node:vm");
const { createRequire } = require("node:module");

const installed = createRequire(`${process.env.NODE_PATH}/`);
const express = installed("express");
const listen = express.application.listen;

let listening = false;
express.application.listen = function () {
  listening = true;
  const server = listen.call(this, 0, "127.0.0.1", () => console.log("listening", server.address().port));
  return server;
};

const app = express();
app.use(express.json());
const handled = (event) => console.log("processed", JSON.stringify(event));
const given = {
  app, console, process, Buffer, require: installed,
  processWebhook: handled, handleUserLogin: handled, handleDataReceived: handled, handleSystemAlert: handled,
};
vm.runInNewContext(fs.readFileSync(process.argv[2], "utf8"), given, { filename: process.argv[2] });
if (!listening) app.listen();

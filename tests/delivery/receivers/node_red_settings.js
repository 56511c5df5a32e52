// Node-RED as the tests start it: on loopback, without an editor, without a word to anybody.
module.exports = {
  uiHost: "127.0.0.1",
  httpAdminRoot: false,
  credentialSecret: false,
  telemetry: { enabled: false, updateNotification: false },
  logging: { console: { level: "info", metrics: false, audit: false } },
};

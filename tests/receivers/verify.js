// Verifies a request with an official library of Standard Webhooks, named by the argument. Reads JSON, prints valid or invalid.
const request = JSON.parse(require("fs").readFileSync(0, "utf8"));
const { Webhook, WebhookVerificationError } = require(process.argv[2]);
try {
  new Webhook(request.secret).verify(request.body, request.headers);
  console.log("valid");
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
  console.log("invalid");
}

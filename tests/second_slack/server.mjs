// emulate's Slack. Reads port, address and seed as a line of standard input, and ends with it.
// It has no way to register who hears of events: its own dispatcher is reached where its plugin is handed it.
import { readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const dist = `${process.argv[2]}/node_modules/emulate/dist`;
const file = readdirSync(dist).find(
  (name) => name.startsWith("dist-") && name.endsWith(".js") && readFileSync(`${dist}/${name}`, "utf8").includes("slackPlugin"),
);
const { slackPlugin } = await import(pathToFileURL(`${dist}/${file}`));
const { createEmulator } = await import(pathToFileURL(`${dist}/api.js`));

const register = slackPlugin.register;
slackPlugin.register = (app, store, webhooks, ...rest) => {
  app.post("/subscribe", async (c) => {
    const subscription = await c.req.json();
    for (const { id } of webhooks.getSubscriptions("slack")) webhooks.unregister(id);
    webhooks.register({ ...subscription, active: true, owner: "slack" });
    return c.json({ ok: true });
  });
  register.call(slackPlugin, app, store, webhooks, ...rest);
};

const lines = createInterface({ input: process.stdin });
lines.once("line", async (line) => {
  await createEmulator({ service: "slack", ...JSON.parse(line) });
  console.log("ready");
});
lines.on("close", () => process.exit(0));

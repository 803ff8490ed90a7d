// A telephone in a browser: SIP.js in Chromium. Lines of JSON on standard input say what it does, like ["call", "sip:..."];
// those on standard output tell what has happened to it, and what it has received. It ends with its input.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [executablePath, profile, server, aor] = process.argv.slice(2);
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
FLAGS.push("--disable-component-update", "--disable-sync", "--ignore-certificate-errors", "--no-proxy-server");
FLAGS.push("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream");

const tell = (...event) => process.stdout.write(`${JSON.stringify(event)}\n`);

// On localhost, which a browser takes for a secure context, as getUserMedia wants
const site = createServer(async ({ url }, response) => {
  const script = url.endsWith(".js");
  response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
  response.end(script ? await readFile(new URL(`node_modules${url}`, import.meta.url)) : "<!doctype html><audio></audio>");
});
await new Promise((listening) => site.listen(0, "localhost", listening));

async function start([server, aor]) {
  const { Web } = await import("/sip.js/lib/index.js");
  const happened = (name) => [`on${name}`, () => window.tell("happened", name)];
  const names = ["Registered", "CallReceived", "CallAnswered", "CallHangup", "ServerDisconnect"];
  window.user = new Web.SimpleUser(server, {
    aor,
    delegate: Object.fromEntries(names.map(happened)),
    media: { remote: { audio: document.querySelector("audio") } },
    userAgentOptions: {
      logLevel: "warn",
      sessionDescriptionHandlerFactoryOptions: { iceGatheringTimeout: 100, peerConnectionConfiguration: { iceServers: [] } },
    },
  });
  await window.user.connect();
  await window.user.register();
}

const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: FLAGS });
try {
  const page = await context.newPage();
  page.on("console", (message) => console.error(message.text()));
  page.on("pageerror", (error) => tell("error", String(error)));
  page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => tell("received", String(payload)));
  });
  await page.exposeFunction("tell", tell);
  await page.goto(`http://localhost:${site.address().port}/`);
  await page.evaluate(start, [server, aor]);
  for await (const line of createInterface({ input: process.stdin })) {
    const [does, ...parameters] = JSON.parse(line);
    const done = page.evaluate(([does, parameters]) => window.user[does](...parameters), [does, parameters]);
    done.catch((error) => tell("error", String(error)));
  }
} finally {
  await context.close();
  site.close();
}

/**
 * The window's shell for a browser: a plugin of Vite that forwards what the pages ask to the control
 * socket of a real engine. For development and tests; it is no part of what is built.
 *
 * The socket is the one that SEACAT_CONTROL names.
 *
 *     POST /bridge/ask    a request    -> its answer
 *     POST /bridge/open   a request    -> answers in arrays, one a line, until either side closes
 *     GET  /bridge/engine              -> whether an engine runs
 *     POST /bridge/start               -> starts what SEACAT_START names
 */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

import type { Connect, Plugin } from "vite";

/** The version of the control protocol. */
const VERSION = 1;

/** As the real shell: at most ten messages a second. */
const BATCH_MS = 100;

/** What the window allows its pages; here they may ask the server they came from, and not the shell. */
function policy(): string {
  const config = JSON.parse(readFileSync(new URL("../../src-tauri/tauri.conf.json", import.meta.url), "utf8"));
  return config.app.security.csp.replace(/connect-src [^;]*/, "connect-src 'self'");
}

export function bridge(socket = process.env["SEACAT_CONTROL"]): Plugin {
  const routes = (use: (path: string, handler: Connect.NextHandleFunction) => void) => {
    use("/bridge/ask", (req, res) => void ask(socket, req, res));
    use("/bridge/open", (req, res) => void open(socket, req, res));
    use("/bridge/engine", (_, res) => void engine(socket, res));
    use("/bridge/start", (_, res) => start(res));
  };
  return {
    name: "seacat-bridge",
    configureServer: (server) => routes((path, handler) => server.middlewares.use(path, handler)),
    configurePreviewServer: (server) => {
      const csp = policy();
      server.middlewares.use((_, res, next) => {
        res.setHeader("Content-Security-Policy", csp);
        next();
      });
      routes((path, handler) => server.middlewares.use(path, handler));
    },
  };
}

async function ask(path: string | undefined, req: IncomingMessage, res: ServerResponse) {
  try {
    const socket = await dial(path);
    say(socket, JSON.parse(await body(req)));
    const line = await new Promise<string>((resolve, reject) => {
      lines(socket).once("line", resolve);
      socket.once("error", reject).once("close", () => reject(new Error("it ended without an answer")));
    });
    socket.destroy();
    send(res, line);
  } catch (error) {
    send(res, JSON.stringify({ is: "error", message: String(error) }), 502);
  }
}

async function open(path: string | undefined, req: IncomingMessage, res: ServerResponse) {
  try {
    const socket = await dial(path);
    res.on("close", () => socket.destroy());
    say(socket, JSON.parse(await body(req)));
    res.writeHead(200, { "Content-Type": "application/x-ndjson", "Cache-Control": "no-store" });
    let batch: string[] = [];
    const flush = () => {
      if (batch.length > 0) res.write(`[${batch.join(",")}]\n`);
      batch = [];
    };
    const timer = setInterval(flush, BATCH_MS);
    lines(socket).on("line", (line) => batch.push(line));
    socket.on("close", () => {
      clearInterval(timer);
      flush();
      res.end();
    });
  } catch (error) {
    send(res, JSON.stringify({ is: "error", message: String(error) }), 502);
  }
}

async function engine(path: string | undefined, res: ServerResponse) {
  try {
    (await dial(path)).destroy();
    send(res, "true");
  } catch {
    send(res, "false");
  }
}

function start(res: ServerResponse) {
  const command = process.env["SEACAT_START"];
  if (command) spawn("sh", ["-c", command], { stdio: "ignore" }).unref();
  send(res, JSON.stringify(command !== undefined), command ? 200 : 501);
}

function dial(path: string | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (!path) return reject(new Error("SEACAT_CONTROL does not name a control socket"));
    const socket: Socket = connect(path, () => {
      socket.off("error", reject);
      socket.on("error", () => socket.destroy());
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

/** Its lines. That it broke is heard on the socket itself. */
function lines(socket: Socket) {
  return createInterface({ input: socket }).on("error", () => {});
}

function say(socket: Socket, request: object) {
  socket.write(JSON.stringify({ v: VERSION, ...request }) + "\n");
}

async function body(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function send(res: ServerResponse, json: string, status = 200) {
  res.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  res.end(json);
}

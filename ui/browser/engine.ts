/** A real engine for one test file: its own folders, its own port, and gone at the end. */

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Where cargo has put the programs. */
const PROGRAMS = resolve(process.env["SEACAT_PROGRAMS"] ?? join("..", process.env["CARGO_TARGET_DIR"] ?? "target", "debug"));

/** How long an engine may take to be there. */
const START_MS = 20_000;

export function program(name: string): string {
  const path = join(PROGRAMS, name);
  if (!existsSync(path)) throw new Error(`${path} is not built: cargo build --workspace --bins`);
  return path;
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** Asks again and again until there is an answer. */
export async function until<T>(what: string, ask: () => Promise<T | null | undefined | false>, ms = START_MS): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await ask().catch(() => null);
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export class Engine {
  readonly home: string;
  #child: ChildProcess | undefined;
  #arguments: string[];

  private constructor(home: string, args: string[]) {
    this.home = home;
    this.#arguments = args;
  }

  /** Starts one with this configuration; `args` go to `seacat-proxy run`. */
  static async start(config = "", args: string[] = []): Promise<Engine> {
    const home = await mkdtemp(join(tmpdir(), "seacat-ui-"));
    const engine = new Engine(home, args);
    await writeFile(engine.config, config);
    await engine.again();
    return engine;
  }

  get config(): string {
    return join(this.home, "config.toml");
  }

  get socket(): string {
    return join(this.home, "state", "run", "control.sock");
  }

  get #places(): string[] {
    return ["--config", this.config, "--state-dir", join(this.home, "state")];
  }

  get #environment(): NodeJS.ProcessEnv {
    // No session bus: the key goes into a file, and no desktop is asked for anything.
    return { PATH: process.env["PATH"], HOME: this.home, DBUS_SESSION_BUS_ADDRESS: "unix:path=/nonexistent" };
  }

  /** Starts it, again after [`kill`]. */
  async again(): Promise<void> {
    const child = spawn(program("seacat-proxy"), ["run", ...this.#places, ...this.#arguments], {
      env: this.#environment,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr?.on("data", (part) => (said += part));
    this.#child = child;
    const ended = new Promise<never>((_, reject) => child.once("exit", () => reject(new Error(`the engine ended: ${said}`))));
    ended.catch(() => {});
    const there = until("the engine", async () => {
      return existsSync(this.socket) && (await this.cli("status", "--json").catch(() => null)) !== null;
    });
    await Promise.race([there, ended]);
  }

  /** The failed requests in its state folder. */
  async kept(): Promise<string> {
    return readFile(join(this.home, "state", "failed-requests.jsonl"), "utf8");
  }

  /** What a command of ours prints. Its exit code does not matter: `status` says no with it. */
  async cli(...args: string[]): Promise<string> {
    const done = run(program("seacat-proxy"), [...args, ...this.#places], { env: this.#environment });
    return done.then(
      (it) => it.stdout,
      (error) => {
        if (error.stdout) return error.stdout as string;
        throw error;
      },
    );
  }

  /** Where the proxy listens, `HOST:PORT`. */
  async address(): Promise<string> {
    return JSON.parse(await this.cli("status", "--json")).proxy[0];
  }

  /** A request of a real client. */
  async curl(url: string, ...args: string[]): Promise<string> {
    const proxy = `http://${await this.address()}`;
    const done = await run("curl", ["-sS", "-x", proxy, "-m", "60", ...args, url]);
    return done.stdout;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.home, { recursive: true, force: true });
  }
}

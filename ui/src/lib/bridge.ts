/**
 * All that leaves the pages: requests to the engine, and the few wishes to the desktop that only the
 * window's shell can grant. Nothing else in ui/ talks to either.
 *
 * In the window the shell answers (Tauri's `invoke` and `Channel`), in a browser `dev/bridge.ts` does.
 */

import { Channel, invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";

import type { Answer, Request } from "./types";

/** What can be written to a file that the person chooses. */
export type Saved = "request" | "certificate" | "support_bundle";

/** What the pages make themselves. */
export type Made = "requests_csv" | "requests_har";

export interface Bridge {
  /** Asks the engine. A refusal comes as the answer `error`; no engine at all throws. */
  ask(request: Request): Promise<Answer>;
  /** Asks for a stream of answers. `ended` is called once, unless we close it ourselves. */
  open(request: Request, got: (answers: Answer[]) => void, ended: () => void): () => void;
  /** Whether an engine runs. */
  engine(): Promise<boolean>;
  /** Starts one. */
  startEngine(): Promise<void>;
  /**
   * Lets the person choose a key file and hands it to the engine; null when they chose none. With a
   * password, the file that was chosen last is used again.
   */
  importFile(title: string, password: string | null): Promise<Answer | null>;
  /** Lets the person choose certificates (PEM, DER or PKCS#7) and gives them as PEM; null when they chose none. */
  readCa(title: string): Promise<string | null>;
  /** To the clipboard. */
  copy(text: string): Promise<void>;
  /** Lets the person choose where it goes, and says where it went; null when they chose nothing. */
  save(title: string, kind: Saved): Promise<string | null>;
  /** The same with a text of the pages. */
  saveText(title: string, kind: Made, text: string): Promise<string | null>;
  /** The pages have something to show: the window appears. */
  ready(): Promise<void>;
  /** Closes the window. */
  closeWindow(): Promise<void>;
  /** The page to begin with, if one was asked for. */
  page(): Promise<string | null>;
  /** A second start of the window asks for a page. */
  onPage(go: (page: string) => void): void;
}

/** The window's own shell. A stream's end is an empty array of answers. */
const shell: Bridge = {
  ask: (request) => invoke("ask", { request }),
  open(request, got, ended) {
    let closed = false;
    const channel = new Channel<Answer[]>((answers) => {
      if (closed) return;
      if (answers.length > 0) return got(answers);
      closed = true;
      ended();
    });
    const id = invoke<number>("open", { request, channel });
    id.catch(() => {
      if (!closed) ended();
      closed = true;
    });
    return () => {
      closed = true;
      void id.then((id) => invoke("close", { id })).catch(() => {});
    };
  },
  engine: () => invoke("engine"),
  startEngine: () => invoke("start_engine"),
  importFile: (title, password) =>
    invoke("import_file", { title, password: password === null ? null : base64(utf8.encode(password)) }),
  readCa: (title) => invoke("read_ca", { title }),
  copy: (text) => invoke("copy", { text }),
  save: (title, kind) => invoke("save", { title, kind }),
  saveText: (title, kind, text) => invoke("save", { title, kind, text }),
  ready: () => invoke("ready"),
  closeWindow: () => invoke("close_window"),
  page: () => invoke("page"),
  onPage: (go) => void listen<string>("page", (event) => go(event.payload)),
};

const utf8 = new TextEncoder();

/** As secrets travel. */
function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

async function post(path: string, body: unknown): Promise<Response> {
  const reply = await fetch(path, { method: "POST", body: JSON.stringify(body) });
  if (!reply.ok) throw new Error((await reply.json()).message);
  return reply;
}

/** Lets the person choose a file, as far as a browser can. */
function choose(accept: string): Promise<File | null> {
  return new Promise((resolve) => {
    const input = Object.assign(document.createElement("input"), { type: "file", accept });
    input.onchange = () => resolve(input.files?.[0] ?? null);
    input.oncancel = () => resolve(null);
    input.click();
  });
}

/** The key file that was chosen last. */
let chosen: File | null = null;

/** A browser in front of `dev/bridge.ts`. */
const browser: Bridge = {
  ask: async (request) => (await post("/bridge/ask", request)).json(),
  open(request, got, ended) {
    const abort = new AbortController();
    void (async () => {
      const body = JSON.stringify(request);
      const reply = await fetch("/bridge/open", { method: "POST", body, signal: abort.signal });
      if (!reply.ok || !reply.body) return;
      const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const lines = (rest + part.value).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) got(JSON.parse(line));
      }
    })()
      .catch(() => {})
      .finally(() => {
        if (!abort.signal.aborted) ended();
      });
    return () => abort.abort();
  },
  engine: async () => (await fetch("/bridge/engine")).json(),
  startEngine: async () => void (await post("/bridge/start", null)),
  async importFile(_title, password) {
    const file = password === null ? await choose(".p12,.pfx,.pem") : chosen;
    if (!file) return null;
    chosen = file;
    const bytes = new Uint8Array(await file.arrayBuffer());
    const secret = password === null ? {} : { password: base64(utf8.encode(password)) };
    return browser.ask({ do: "import_identity", file: base64(bytes), ...secret });
  },
  readCa: async () => (await (await choose(".pem,.crt,.cer"))?.text()) ?? null,
  copy: (text) => navigator.clipboard.writeText(text),
  save: async (_title, kind) => {
    throw new Error(`only the window can save the ${kind}`);
  },
  saveText: async (_title, kind, text) => {
    const download = kind.replace("requests_", "seacat-requests.");
    const href = URL.createObjectURL(new Blob([text]));
    Object.assign(document.createElement("a"), { href, download }).click();
    URL.revokeObjectURL(href);
    return download;
  },
  ready: async () => {},
  closeWindow: async () => {},
  page: async () => null,
  onPage: () => {},
};

export const bridge: Bridge = "__TAURI_INTERNALS__" in globalThis ? shell : browser;

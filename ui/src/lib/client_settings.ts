/**
 * Texts to paste that make other programs use the proxy: the same as `seacat-proxy env` prints and the
 * panel's menu copies (crates/seacat-agent/src/client_settings.rs). The browser suite compares them.
 */

/** Never through the proxy: this machine itself. */
const NO_PROXY = "localhost,127.0.0.1,::1";

export const CLIENTS = ["shell", "powershell", "curl", "git", "java", "pac"] as const;
export type Client = (typeof CLIENTS)[number];

/** What people call it, in every language. */
export const CLIENT_NAMES: Record<Client, string> = {
  shell: "Shell",
  powershell: "PowerShell",
  curl: "curl",
  git: "git",
  java: "Java",
  pac: "PAC URL",
};

/** The text for a proxy at `address`, which is `HOST:PORT`. */
export function clientSettings(client: Client, address: string): string {
  const proxy = `http://${address}`;
  const variables = Object.entries({ http_proxy: proxy, https_proxy: proxy, no_proxy: NO_PROXY });
  const cut = address.lastIndexOf(":");
  const host = address.slice(0, cut).replace(/^\[|\]$/g, "");
  switch (client) {
    case "shell":
      return variables.map(([name, value]) => `export ${name}='${value}'\n`).join("");
    case "powershell":
      return variables.map(([name, value]) => `$env:${name} = '${value}'\n`).join("");
    case "curl":
      return `curl -x ${proxy} `;
    case "git":
      return `git config --global http.proxy ${proxy}`;
    case "java":
      return `-Dhttp.proxyHost=${host} -Dhttp.proxyPort=${address.slice(cut + 1)}`;
    case "pac":
      return `${proxy}/proxy.pac`;
  }
}

type Repeated = { method: string; host: string; path: string };

/** Arguments of curl for a request; `-g`, because it would take brackets and braces in a path as several requests. */
function curlArguments(request: Repeated, address: string, quoted: (text: string) => string): string {
  const proxy = `-g -x http://${address}`;
  if (request.method === "CONNECT") return `${proxy} ${quoted(`https://${request.host}/`)}`;
  const method = request.method === "GET" ? "" : request.method === "HEAD" ? "-I " : `-X ${quoted(request.method)} `;
  return `${proxy} ${method}${quoted(`http://${request.host}${request.path}`)}`;
}

/** A request again, for a POSIX shell. The query was not recorded, so it is not there. */
export function asCurl(request: Repeated, address: string): string {
  return `curl ${curlArguments(request, address, (text) => `'${text.replaceAll("'", `'\\''`)}'`)}`;
}

/** The same for PowerShell, where `curl` alone is another command. */
export function asPowerShell(request: Repeated, address: string): string {
  return `curl.exe ${curlArguments(request, address, (text) => `'${text.replaceAll("'", "''")}'`)}`;
}

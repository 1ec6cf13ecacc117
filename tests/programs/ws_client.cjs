// npm's ws, with the Origin of a page of the same host.
// connect: through a CONNECT tunnel; upgrade: by an Upgrade request to the proxy.
// Usage: http_proxy=… ws_client.cjs connect|upgrade URL

const WebSocket = require("ws");

const [how, url] = process.argv.slice(2);
const { HttpProxyAgent } = require("http-proxy-agent");
const { HttpsProxyAgent } = require("https-proxy-agent");
const Agent = how === "connect" ? HttpsProxyAgent : HttpProxyAgent;
const socket = new WebSocket(url, {
    agent: new Agent(process.env.http_proxy),
    origin: url.replace("ws:", "http:").replace(/\/[^/]*$/, ""),
});
socket.on("open", () => socket.send(`by ${how}`));
socket.on("message", (text) => {
    console.log(String(text));
    socket.close();
});
socket.on("error", (error) => {
    console.log(error.message);
    process.exitCode = 1;
});

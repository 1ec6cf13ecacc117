// A socket.io client: long polling first, then the upgrade to WebSocket, as it comes.
// Usage: http_proxy=… socketio_client.cjs URL

const { HttpProxyAgent } = require("http-proxy-agent");
const { io } = require("socket.io-client");

const url = process.argv[2];
const proxy = process.env.http_proxy;
const socket = io(url, {
    agent: proxy ? new HttpProxyAgent(proxy) : undefined,
    extraHeaders: { Origin: new URL(url).origin },
    reconnection: false,
});
socket.on("connect_error", (error) => {
    console.error(`${error.message}: ${error.description?.message ?? error.description}`);
    process.exit(1);
});
socket.io.engine.on("upgrade", async ({ name }) => {
    console.log(name, await socket.emitWithAck("message", "over socket.io"));
    socket.close();
});

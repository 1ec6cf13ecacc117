// A socket.io server that sends every message back. As many applications do, it takes visitors from
// its own pages alone: the Origin has to be the Host.
// Usage: socketio_server.cjs PORT

const http = require("node:http");
const { Server } = require("socket.io");

const server = http.createServer();
const io = new Server(server, {
    allowRequest: ({ headers }, allow) =>
        allow(null, new URL(headers.origin).host === headers.host),
});
io.on("connection", (socket) => socket.on("message", (text, reply) => reply(text.toUpperCase())));
server.listen(Number(process.argv[2]), "127.0.0.1");

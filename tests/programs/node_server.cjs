// A plain Node.js server: answers with the request as JSON, with each field name as it was spelled.
// Usage: node_server.cjs PORT

const http = require("node:http");

http
    .createServer(async (request, response) => {
        let body = "";
        for await (const piece of request) body += piece;
        const { method, url, rawHeaders } = request;
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify({ method, url, rawHeaders, body }) + "\n");
    })
    .listen(Number(process.argv[2]), "127.0.0.1");

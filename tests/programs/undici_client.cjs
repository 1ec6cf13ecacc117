// undici, which is Node's fetch: through a CONNECT tunnel, as its ProxyAgent comes, and by plain requests.
// Usage: http_proxy=… undici_client.cjs URL

const { ProxyAgent, fetch } = require("undici");

async function ask(proxyTunnel) {
    const dispatcher = new ProxyAgent({ uri: process.env.http_proxy, proxyTunnel });
    const answer = await fetch(process.argv[2], {
        dispatcher,
        method: "POST",
        headers: { SOAPAction: "urn:probe" },
        body: proxyTunnel ? "tunnelled" : "plain",
    });
    const { method, url, body } = await answer.json();
    console.log(answer.status, method, url, body);
    await dispatcher.close();
}

ask(true).then(() => ask(false));

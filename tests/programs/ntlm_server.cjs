// express-ntlm: a login belongs to the TCP connection that carried it, for as long as that lives.
// Without a domain controller every password is right.
// Usage: ntlm_server.cjs PORT

const express = require("express");
const ntlm = require("express-ntlm");

const app = express();
app.use(ntlm());
app.get("/slow/:milliseconds", (request, response, next) =>
    setTimeout(next, Number(request.params.milliseconds)),
);
app.use((request, response) => response.send(`you are ${request.ntlm.UserName}\n`));
app.listen(Number(process.argv[2]), "127.0.0.1");

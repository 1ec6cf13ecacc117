// Mono's HttpWebRequest, logged in by NTLM: three requests, the connection is its own to keep.
// Usage: http_proxy=… mono client.exe URL USER

using System;
using System.IO;
using System.Net;

static class NtlmClient
{
    static void Main(string[] arguments)
    {
        for (int nth = 0; nth < 3; nth++)
        {
            var request = (HttpWebRequest)WebRequest.Create(arguments[0]);
            request.Credentials = new CredentialCache {
                { new Uri(arguments[0]), "NTLM", new NetworkCredential(arguments[1], "secret") }
            };
            using (var reader = new StreamReader(request.GetResponse().GetResponseStream()))
                Console.Write(reader.ReadToEnd());
        }
    }
}

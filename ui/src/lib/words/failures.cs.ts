/** Proč není spojení a co našla diagnostika: co se stalo, co to znamená, co udělat. */

import type { FailureCode, Told } from "./failures.en";

const NELZE = "Požadavky se k bráně nedostanou.";

export const failures: Record<FailureCode, Told> = {
  "SC-OK": { what: "Vše funguje", means: "Požadavek prošel bránou a odpověď se vrátila.", do: "" },
  "SC-NO-GATEWAY": {
    what: "Není nastavena žádná brána",
    means: "Požadavky není kam poslat.",
    do: "Zadejte bránu na stránce Brána, nebo vyzkoušejte vestavěnou.",
  },
  "SC-GATEWAY-CONFIG": {
    what: "Nastavení brány nelze použít",
    means: NELZE,
    do: "Opravte ho na stránce Brána.",
  },
  "SC-NO-SUCH-HOST": {
    what: "Takové jméno neexistuje",
    means: "Jmenné servery tvrdí, že jméno brány neexistuje.",
    do: "Zkontrolujte, zda ve jménu brány není překlep.",
  },
  "SC-DNS": {
    what: "Jméno brány se nepodařilo vyhledat",
    means: "Jmenné servery neodpovídají, nejspíš chybí síť.",
    do: "Zkontrolujte připojení počítače k síti.",
  },
  "SC-DNS-NO-GATEWAY": {
    what: "V DNS není žádná brána ohlášena",
    means: "Brána se má najít přes DNS a tam nic není.",
    do: "Zkontrolujte aplikaci, platformu, příponu a doménu na stránce Brána, nebo zadejte jméno brány.",
  },
  "SC-PROXY-UNREACHABLE": {
    what: "Proxy vaší sítě není dostupná",
    means: "Brány mají být dosažitelné přes ni.",
    do: "Zkontrolujte její adresu na stránce Brána; pokud ji síť nevyžaduje, vypněte ji.",
  },
  "SC-PROXY-AUTH": {
    what: "Proxy vaší sítě chce jméno a heslo",
    means: "Bez nich nikoho nepustí.",
    do: "Uložte řádek jméno:heslo do souboru čitelného jen pro vás a zadejte ho na stránce Brána.",
  },
  "SC-PROXY-PASSWORD": {
    what: "Proxy vaší sítě odmítla jméno nebo heslo",
    means: "Bez správných nikoho nepustí.",
    do: "Opravte řádek jméno:heslo v souboru s přihlášením a připojte se znovu.",
  },
  "SC-PROXY-SCHEME": {
    what: "Proxy vaší sítě chce jiný druh přihlášení",
    means: "SeaCat Proxy umí jen přihlášení Basic.",
    do: "Požádejte správce proxy o Basic, nebo o pravidlo, které bránu pustí bez přihlášení.",
  },
  "SC-PROXY-REFUSED": {
    what: "Proxy vaší sítě nás nepustí dál",
    means: NELZE,
    do: "Požádejte správce proxy, ať povolí CONNECT na jméno a port brány.",
  },
  "SC-PROXY-ANSWER": {
    what: "Odpověď proxy vaší sítě nelze použít",
    means: "Možná to není proxy pro HTTP.",
    do: "Zkontrolujte její adresu na stránce Brána.",
  },
  "SC-TCP-REFUSED": {
    what: "Počítač brány spojení odmítl",
    means: "Je dostupný, ale na tom portu nic neběží.",
    do: "Zkontrolujte port brány a zeptejte se, zda brána běží.",
  },
  "SC-UNREACHABLE": {
    what: "Brána není z této sítě dostupná",
    means: "K její adrese odsud nevede cesta.",
    do: "Zkontrolujte připojení počítače k síti.",
  },
  "SC-TIMED-OUT": {
    what: "Brána neodpověděla včas",
    means: "V cestě může stát firewall.",
    do: "Zkuste jinou síť, nebo bránu na portu 443.",
  },
  "SC-TLS-HUNG-UP": {
    what: "Druhá strana zavěsila během zabezpečování spojení",
    means: "Na té adrese může být firewall nebo jiný server.",
    do: "Zkontrolujte jméno a port brány.",
  },
  "SC-NOT-TLS": {
    what: "Na portu brány běží něco jiného",
    means: "Odpověď není TLS.",
    do: "Zkontrolujte jméno a port brány.",
  },
  "SC-TLS-SUITE": {
    what: "Brána a tento počítač nemají společnou šifru TLS",
    means: "Brána může být starší.",
    do: "Na stránce Brána zvolte u TLS „I starší brány“. Pokud už je zvoleno, požádejte správce brány o TLS 1.3.",
  },
  "SC-TLS-VERSION": {
    what: "TLS brány je příliš staré",
    means: "Neumí TLS 1.2 ani TLS 1.3.",
    do: "Požádejte správce brány o TLS 1.2 nebo 1.3.",
  },
  "SC-TLS": {
    what: "Spojení se nepodařilo zabezpečit",
    means: "Navázání TLS selhalo. Na té adrese může být firewall nebo jiný server.",
    do: "Zkontrolujte jméno a port brány.",
  },
  "SC-CERT-NAME": {
    what: "Certifikát brány je na jiné jméno",
    means: "Nelze poznat, zda je to vaše brána.",
    do: "Použijte jméno z certifikátu, nebo požádejte správce o správný certifikát.",
  },
  "SC-CERT-CA": {
    what: "Certifikát brány vydala autorita, které zde nevěříme",
    means: "Brána má vlastní autoritu, nebo někdo v této síti čte, co se posílá.",
    do: "Má-li brána vlastní autoritu, zadejte její certifikát na stránce Brána. Pokud ne, zkuste jinou síť.",
  },
  "SC-CERT-EXPIRED": {
    what: "Platnost certifikátu brány skončila",
    means: "Dnes neplatí, nebo jdou hodiny počítače napřed.",
    do: "Zkontrolujte datum a čas počítače. Jsou-li správně, dejte vědět správci brány.",
  },
  "SC-CERT-NOT-YET": {
    what: "Certifikát brány ještě neplatí",
    means: "Nejspíš jdou hodiny počítače pozadu.",
    do: "Zkontrolujte datum a čas počítače. Jsou-li správně, dejte vědět správci brány.",
  },
  "SC-CERT-PIN": {
    what: "Brána má jiný klíč než ten připnutý",
    means: "Brána dostala nový klíč, nebo to není vaše brána.",
    do: "Nepokračujte, dokud správce nový klíč nepotvrdí. Pak změňte připnutý klíč.",
  },
  "SC-CERT-BAD": {
    what: "Certifikát brány nelze použít",
    means: "Není takový, jaký má certifikát být.",
    do: "Dejte vědět správci brány.",
  },
  "SC-CLIENT-CERT": {
    what: "Brána odmítla certifikát tohoto počítače",
    means: "Chce identitu, kterou uznává.",
    do: "Zeptejte se jejího správce.",
  },
  "SC-HTTPS-SERVER": {
    what: "Toto je webový server, ne brána SeaCat",
    means: "Jméno nebo port vede k jinému programu.",
    do: "Zkontrolujte jméno a port brány.",
  },
  "SC-GATEWAY-SILENT": {
    what: "Brána neodpovídá",
    means: "Spojení je zabezpečené, ale nikdo na něm neodpovídá. Možná to není brána SeaCat.",
    do: "Zkontrolujte jméno a port brány.",
  },
  "SC-CONNECTION-LOST": {
    what: "Spojení se přerušilo",
    means: "Nové se naváže samo.",
    do: "Pokud to trvá, zkontrolujte připojení k síti.",
  },
  "SC-OTHER": {
    what: "Spojení selhalo",
    means: "Další pokus proběhne sám.",
    do: "Pokud to trvá, zkontrolujte připojení k síti.",
  },
};

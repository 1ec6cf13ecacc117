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
    what: ["Jméno {host} neexistuje", "Takové jméno neexistuje"],
    means: "Jmenné servery tvrdí, že jméno brány neexistuje.",
    do: "Zkontrolujte, zda ve jménu brány není překlep.",
  },
  "SC-DNS": {
    what: ["Jméno {host} se nepodařilo vyhledat", "Jméno brány se nepodařilo vyhledat"],
    means: "Jmenné servery neodpovídají, nejspíš chybí síť.",
    do: "Zkontrolujte připojení počítače k síti.",
  },
  "SC-DNS-NO-GATEWAY": {
    what: "V DNS není žádná brána ohlášena",
    means: "Brána se má najít přes DNS a tam nic není.",
    do: "Zkontrolujte aplikaci, platformu, příponu a doménu na stránce Brána, nebo zadejte jméno brány.",
  },
  "SC-PROXY-UNREACHABLE": {
    what: ["Proxy vaší sítě {proxy} není dostupná", "Proxy vaší sítě není dostupná"],
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
    what: ["{address} spojení odmítla", "Počítač brány spojení odmítl"],
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
    do: "Na stránce Brána v části Pokročilé povolte starší bránu. Pokud už je povolena, požádejte správce brány o TLS 1.3.",
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
    what: ["Certifikát není na {host}, ale na {names}", "Certifikát brány je na jiné jméno"],
    means: "Nelze poznat, zda je to vaše brána.",
    do: "Použijte jméno z certifikátu, nebo požádejte správce o správný certifikát.",
  },
  "SC-CERT-CA": {
    what: [
      "Certifikát brány vydal „{issuer}“, kterému zde nevěříme",
      "Certifikát brány vydala autorita, které zde nevěříme",
    ],
    means: "Brána má vlastní autoritu, nebo někdo v této síti čte, co se posílá.",
    do: "Má-li brána vlastní autoritu, zadejte její certifikát na stránce Brána. Pokud ne, zkuste jinou síť.",
  },
  "SC-CERT-EXPIRED": {
    what: ["Platnost certifikátu brány skončila {date}", "Platnost certifikátu brány skončila"],
    means: "Dnes neplatí, nebo jdou hodiny počítače napřed.",
    do: "Zkontrolujte datum a čas počítače. Jsou-li správně, dejte vědět správci brány.",
  },
  "SC-CERT-NOT-YET": {
    what: ["Certifikát brány platí až od {date}", "Certifikát brány ještě neplatí"],
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
  "SC-CAPTIVE-PORTAL": {
    what: "Do této sítě se musíte nejdřív přihlásit",
    means: "Dokud to neuděláte, odpovídá místo brány.",
    do: "Otevřete v prohlížeči libovolnou stránku začínající http:// a přihlaste se. Spojení se naváže během několika sekund.",
  },
  "SC-GATEWAY-DRAINING": {
    what: "Brána už nepřijímá požadavky",
    means: "Ukončuje se, nebo jich má příliš mnoho. Další pokus proběhne sám.",
    do: "Počkejte několik sekund.",
  },
  "SC-CONNECTION-LOST": {
    what: "Spojení se přerušilo",
    means: "Nové se naváže samo.",
    do: "Pokud to trvá, zkontrolujte připojení k síti.",
  },
  "SC-OTHER": {
    what: "Spojení selhalo",
    means: "Další pokus proběhne automaticky.",
    do: "Pokud to trvá, zkontrolujte připojení k síti.",
  },
  "SC-PORT-TAKEN": {
    what: ["Port {port} používá {owner}", "Port proxy používá jiný program"],
    means: "Proxy nemůže poslouchat tam, kde ji aplikace hledají.",
    do: ["Ukončete ten program, nebo na stránce Místní proxy zvolte port {free}.", "Ukončete ten program, nebo zvolte jiný port."],
  },
  "SC-NOT-RUNNING": {
    what: "SeaCat Proxy neběží",
    means: "Aplikace, které ji mají používat, se nikam nedostanou.",
    do: "Spusťte ji na stránce Přehled.",
  },
  "SC-LOCAL-SILENT": {
    what: ["Proxy neodpovídá na {address}", "Proxy na svém portu neodpovídá"],
    means: "Něco v tomto počítači, nejspíš bezpečnostní program, k ní ostatní nepustí.",
    do: "Povolte spojení na tuto adresu a spusťte SeaCat Proxy znovu.",
  },
  "SC-NO-NETWORK": {
    what: "Počítač není připojen k síti",
    means: "Nic venku není dostupné.",
    do: "Připojte ho k síti; proxy pak pokračuje sama.",
  },
  "SC-TCP-FILTERED": {
    what: ["Síť nic nepustí na port {port} počítače {host}", "Síť k bráně nic nepustí"],
    means: "Firewall zahazuje pakety bez odpovědi, nebo je brána vypnutá.",
    do: [
      "Port {open} projde: požádejte o něj správce brány, nebo správce této sítě o ten druhý.",
      "Požádejte správce této sítě, ať ho otevře, nebo zkuste jinou síť.",
    ],
  },
  "SC-PROXY-NEEDED": {
    what: ["K bráně se dá jen přes proxy {proxy}", "K bráně se dá jen přes proxy"],
    means: "Tato síť pouští ven jen přes vlastní proxy.",
    do: "Na stránce Brána zvolte u firemní proxy proměnnou prostředí https_proxy, nebo zadejte její adresu.",
  },
  "SC-TLS-INTERCEPTED": {
    what: ["Do spojení vstupuje „{issuer}“", "Do spojení někdo vstupuje"],
    means: "Bezpečnostní program nebo proxy této sítě by četly všechno, proto se nic neposílá.",
    do: ["Požádejte správce této sítě, ať spojení na {host} nechá být.", "Požádejte správce této sítě, ať je nechá být."],
  },
  "SC-CLOCK": {
    what: ["Hodiny počítače jdou špatně: ukazují {today}", "Hodiny počítače jdou špatně"],
    means: "Certifikáty se pak zdají prošlé nebo ještě neplatné.",
    do: "Nastavte datum a čas počítače.",
  },
  "SC-OFF": {
    what: "SeaCat Proxy byla od brány odpojena",
    means: "Zůstane to tak, dokud ji někdo nepřipojí.",
    do: "Na stránce Přehled zvolte Připojit.",
  },
  "SC-NOT-ENROLLED": {
    what: "Tento počítač nemá certifikát",
    means: "Brána ho nezná.",
    do: "Požádejte o certifikát na stránce Identita.",
  },
  "SC-ENROLLING": {
    what: "Tento počítač se právě registruje",
    means: "Certifikát je na cestě.",
    do: "Chvíli počkejte.",
  },
  "SC-WAITING-FOR-APPROVAL": {
    what: ["{tag} čeká na schválení", "Čeká na schválení"],
    means: "Správce brány musí tento počítač schválit.",
    do: ["Pošlete správci Client Tag {tag}.", "Pošlete správci Client Tag ze stránky Identita."],
  },
  "SC-REJECTED": {
    what: ["Správce zamítl {tag}", "Správce tento počítač zamítl"],
    means: "Brána ho obslouží jen bez identity, pokud vůbec.",
    do: "Domluvte se se správcem a na stránce Identita požádejte znovu.",
  },
  "SC-REVOKED": {
    what: ["Brána odvolala certifikát {tag}", "Brána certifikát odvolala"],
    means: "O další jsme požádali; správce ho musí schválit.",
    do: "Pošlete správci Client Tag ze stránky Identita.",
  },
  "SC-FORGOTTEN": {
    what: "Brána tento počítač zapomněla",
    means: "O další certifikát si řekneme sami.",
    do: "Chvíli počkejte; trvá-li to, dejte vědět správci.",
  },
  "SC-IDENTITY-EXPIRED": {
    what: "Platnost certifikátu tohoto počítače skončila",
    means: "O další si řekneme sami, se stejným klíčem.",
    do: "Chvíli počkejte; trvá-li to, dejte vědět správci.",
  },
  "SC-KEY-LOCKED": {
    what: "Úložiště klíčů je zamčené",
    means: "Požadavky zatím jdou bez identity.",
    do: "Odemkněte klíčenku.",
  },
  "SC-HOST-UNKNOWN": {
    what: ["Brána nezná hostitele {host}", "Brána tohoto hostitele nezná"],
    means: "Kanál funguje; za bránou nic takového jména není.",
    do: "Zkontrolujte jméno hostitele v aplikaci, nebo se zeptejte správce brány.",
  },
  "SC-HOST-ERROR": {
    what: ["{host}: odpověď {status}", "Server odpověděl chybou"],
    means: "Požadavek prošel bránou a selhal server za ní nebo brána.",
    do: "Sdělte správci serveru čas a tento stav.",
  },
  "SC-HOST-REFUSED": {
    what: ["{host}: odpověď {status}", "Server požadavek odmítl"],
    means: "Požadavek prošel bránou a server za ní ho neobsloužil.",
    do: "Zkontrolujte adresu v aplikaci a zda smíte server používat.",
  },
};

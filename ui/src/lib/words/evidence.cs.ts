/** Co krok diagnostiky zjistil: fakta od enginu i s hodnotami. */

import type { FactCode } from "./evidence.en";

export const evidence: Record<FactCode, string> = {
  listens: "Tento program (proces {pid}) poslouchá na {addresses}",
  nobody_listens: "Na portu {port} nikdo neposlouchá",
  any_port: "Stačí kterýkoli volný port",
  no_proxy: "SeaCat Proxy neběží",
  answers: "{address} odpovídá",
  built_in: "Není nastavena žádná brána, proxy si přinese vlastní",
  announced: "{host}, port {port}, priorita {priority}, váha {weight}",
  addresses: "{addresses}",
  not_looked_up: "Nevyhledává se: je nastavena adresa {addresses}",
  looked_up_proxy: "Přes proxy {proxy}: {addresses}",
  accepts: "{address} přijímá spojení",
  gateway_answers: "{address} přijímá spojení a odpovídá tam brána SeaCat",
  silent: "{address} neodpovídá",
  refused: "{address} odmítá spojení",
  unreachable: "K {address} odsud nevede cesta",
  named: "{variable} uvádí proxy {proxy}",
  lets_through: "{proxy} nás pustí k {target}",
  secured: "{host}:{port} na {address}, {version}, {suite}",
  issued: "Certifikát vydala autorita {issuer} a platí do {until}",
  ping_answered: "Odpovídá na PING",
  today: "Podle tohoto počítače je dnes {date}",
  no_identity: "Tato proxy nepoužívá identitu",
  not_known: "To ví jen spuštěná proxy",
  not_sent: "Neodeslán: proxy není připojena",
  no_host: "Zatím není znám žádný hostitel za bránou",
  asked: "Dotaz na {host}",
  answered: "{host}: odpověď {status}, {bytes} B",
};

// The whole of an agent's page: who is calling, my state, and a number to dial. Everything
// that came from outside is set as text, never as markup.
import { connect } from "../interactd.js";

const $ = (id) => document.getElementById(id);
let agent;

const words = {
  connecting: "connecting…",
  online: "connected",
  offline: "not connected: trying again",
  refused: "the token is not accepted",
};

function say(text) {
  $("message").textContent = text;
}

function whoIs(pop) {
  if (pop.remote.withheld) return "Number withheld";
  if (pop.contact?.name) return pop.contact.name + (pop.contact.vip ? " ★" : "");
  if (pop.candidates.length) {
    return "One of: " + pop.candidates.map((c) => c.name ?? "?").join(", ");
  }
  return pop.remote.display || pop.remote.value || "Unknown";
}

function facts(pop) {
  const said = [pop.direction === "in" ? "calls us" : "called by us"];
  if (pop.contact?.organisation) said.push(`of ${pop.contact.organisation.name ?? "?"}`);
  if (pop.queue) said.push(`queue ${pop.queue}`);
  if (pop.contact?.roles.length) said.push(pop.contact.roles.join(", "));
  if (pop.remote.trust === "claimed") said.push("unverified");
  for (const d of pop.contact?.preferences?.denied ?? []) said.push(`no ${d.purpose} by ${d.kind}`);
  if (pop.degraded) said.push("looking up who it is…");
  return said.join(" · ");
}

function card(pop) {
  const node = $("pop").content.cloneNode(true).firstElementChild;
  const set = (name, text) => (node.querySelector(name).textContent = text);
  node.dataset.state = pop.state;
  node.dataset.interaction = pop.interaction;
  set(".who", whoIs(pop));
  set(".state", pop.state);
  set(".address", pop.remote.value ?? "");
  set(".facts", facts(pop));
  node.querySelector(".recent").append(
    ...pop.recent.slice(0, 5).map((entry) => {
      const item = document.createElement("li");
      const at = new Date(entry.at).toLocaleString();
      item.textContent = `${at}: ${entry.kind} ${entry.direction} ${entry.summary ?? ""}`;
      return item;
    }),
  );
  return node;
}

function show(open) {
  $("pops").replaceChildren(...open.map(card));
  $("idle").hidden = open.length > 0;
  document.title = open.length ? `☎ ${whoIs(open.at(-1))}` : "interactd.js, an example";
}

function showState(state) {
  $("state").value = state.state;
  $("since").textContent = `since ${new Date(state.since).toLocaleTimeString()}`;
}

function showConnection(connection, why) {
  $("connection").textContent = words[connection] ?? connection;
  $("connection").title = why;
  $("connection").dataset.is = connection;
}

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  agent?.close();
  // ?sse tries the way that works where a proxy breaks WebSockets.
  const sse = new URLSearchParams(location.search).has("sse");
  agent = connect({
    agent: form.agent.value,
    token: form.token.value,
    ...(sse && { WebSocket: null }),
  });
  agent.onPop((pop, open) => show(open));
  agent.onState(showState);
  agent.onConnection(showConnection);
  form.token.value = "";
  form.hidden = true;
  $("desk").hidden = false;
});

$("state").addEventListener("change", async (event) => {
  try {
    await agent.setState(event.target.value);
    say("");
  } catch (error) {
    say(error.message);
    if (agent.state) showState(agent.state);
  }
});

$("dial").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await agent.dial(event.target.number.value);
    say("");
  } catch (error) {
    say(error.message);
  }
});

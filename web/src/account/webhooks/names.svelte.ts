/** The names of agents and environments, for filters that hold their ids. */

import { api, body } from "../../api";
import type { components } from "../../openapi";
import { noteSignedOut } from "../../session.svelte";
import { namesById } from "./webhook";

export class Names {
  agents = $state.raw<readonly components["schemas"]["AgentSummary"][]>([]);
  environments = $state.raw<readonly components["schemas"]["EnvironmentView"][]>([]);
  readonly ofAgents = $derived(namesById(this.agents));
  readonly ofEnvironments = $derived(namesById(this.environments));

  constructor() {
    // Without names, ids are shown.
    this.#read().catch(noteSignedOut);
  }

  async #read(): Promise<void> {
    const query = { "pagination[page_size]": 100, sorting: "name" } as const;
    const [agents, environments] = await Promise.all([
      body(api.GET("/api/v1/agent", { params: { query } })),
      body(api.GET("/api/v1/environment", { params: { query } })),
    ]);
    this.agents = agents.summaries;
    this.environments = environments.summaries;
  }
}

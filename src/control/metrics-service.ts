import type { Principal } from "./model.ts";

/** One request that was answered. */
export interface AnsweredRequest {
  readonly method: string;
  /** The template, such as `/v1/apps/{app}`; null for an address that is none. */
  readonly route: string | null;
  readonly status: number;
  readonly durationMs: number;
}

/** What a monitoring system reads. */
export interface MetricsService {
  /** Counts a request of this process. */
  observeRequest(request: AnsweredRequest): void;
  /** Counts a failure that was answered, by the code of the table of errors. */
  countError(code: string): void;
  /**
   * All metrics in the text format of Prometheus.
   *
   * @param principal whoever asks with a token, the owner of the platform alone (`forbidden`); `local` for a request from this machine
   */
  render(principal: Principal | "local"): Promise<string>;
}

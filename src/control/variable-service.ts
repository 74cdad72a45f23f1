import type { Principal, Variable } from "./model.ts";

export interface VariableChange {
  readonly name: string;
  readonly value: string;
}

/**
 * Variables that users set; those of databases are made when asked for, and can't be changed. All of it needs the right to `manage` the app.
 * `invalid_fields` for a name or value that is not allowed, `conflict` for a variable of a database.
 */
export interface VariableService {
  /** Adds one; `invalid_fields` when there is one of this name. */
  create(principal: Principal, app: string, input: VariableChange): Promise<Variable>;
  /** Adds or changes each, all or none; answers them in the order given. Of two with one name the later counts. */
  set(principal: Principal, app: string, changes: readonly VariableChange[]): Promise<Variable[]>;
  /** `not_found` when there is none of this id. */
  change(principal: Principal, app: string, input: { id: string; value: string }): Promise<Variable>;
  /** All or none; `not_found` names the first id that there is not. */
  remove(principal: Principal, app: string, ids: readonly string[]): Promise<void>;
}

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { followAliases, variableNames, variablesOf } from "./variables.ts";

const variable = fc.record({
  id: fc.constant("id"),
  name: fc.constantFrom("A", "B", "C", "D"),
  value: fc.constantFrom("$A", "$B", "$C", "$D", "$E", "$", "$A ", "one", "two"),
  isManaged: fc.boolean(),
});
const variables = fc.uniqueArray(variable, { selector: ({ name }) => name });

test("followAliases() keeps names, ends in circles, and leaves nothing that leads on unless it is one", () => {
  fc.assert(
    fc.property(variables, (given) => {
      const followed = followAliases(given);
      assert.deepEqual(
        followed.map(({ name }) => name),
        given.map(({ name }) => name),
      );
      const names = new Set<string>(given.map(({ name }) => name));
      for (const [index, { value }] of followed.entries()) {
        if (names.has(value.slice(1)) && value.startsWith("$")) assert.equal(value, given[index]?.value);
        else assert.ok(given.some((each) => each.value === value));
      }
    }),
  );
});

test("followAliases() follows a chain to its end, and leaves what leads nowhere", () => {
  const of = (value: string, name: string) => ({ id: name, name, value, isManaged: false });
  const followed = followAliases([of("$B", "A"), of("$C", "B"), of("end", "C"), of("$NONE", "D"), of("$E", "E")]);
  assert.deepEqual(
    followed.map(({ value }) => value),
    ["end", "end", "end", "$NONE", "$E"],
  );
});

test("variablesOf() gives the first database two names, the others one each", () => {
  const source = { resourceId: "shop_1001", host: "127.0.0.1", port: 15432, password: "secret" };
  const made = variablesOf([
    { ...source, addonName: "postgresql" },
    { ...source, resourceId: "shop_1002", addonName: "postgresql-2" },
  ]);
  assert.deepEqual(
    made.map(({ name, value }) => [name, value.startsWith("$")]),
    [
      ["SCALINGO_POSTGRESQL_URL", false],
      ["DATABASE_URL", true],
      ["SCALINGO_POSTGRESQL_2_URL", false],
    ],
  );
  assert.equal(made[0]?.id, variableNames({ addonName: "postgresql", resourceId: "shop_1001" }, 0)[0]?.id);
});

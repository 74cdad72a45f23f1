import { describeStore } from "../../test/contract/store.ts";
import { systemClock } from "../core/clock.ts";
import { openMemoryStore } from "./memory-store.ts";

describeStore("openMemoryStore()", async () => openMemoryStore(systemClock));

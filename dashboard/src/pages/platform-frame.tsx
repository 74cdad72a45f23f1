import { Outlet } from "@tanstack/react-router";
import { PageHead } from "../ui/page-head.tsx";

/** What the owner of the platform sees of all of it. */
export function PlatformFrame() {
  return (
    <>
      <PageHead title="Platform" />
      <Outlet />
    </>
  );
}

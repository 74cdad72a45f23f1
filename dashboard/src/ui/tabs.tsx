import { useLocation } from "@tanstack/react-router";
import { useEffect, useRef, type ReactNode } from "react";

/** Links to the pages of one thing, in a line. Where the line is longer than the screen it is moved until the present one is seen. */
export function Tabs({ label, children }: { label: string; children: ReactNode }) {
  const element = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    const line = element.current;
    const present = line?.querySelector("[aria-current]");
    if (line === null || !(present instanceof HTMLElement)) return;
    // Not scrollIntoView(): it would move the page too.
    line.scrollLeft = present.offsetLeft - line.offsetLeft - (line.clientWidth - present.offsetWidth) / 2;
  }, [pathname]);
  return (
    <nav ref={element} className="tabs" aria-label={label}>
      {children}
    </nav>
  );
}

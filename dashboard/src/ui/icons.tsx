/** Pictures that stand beside words: hidden from screen readers. */
const ICONS = {
  copy: "M9 9h10v12H9zM5 15V3h10",
  check: "M4 12.500l5 5L20 6.500",
  sun: "M12 3v2m0 14v2M3 12h2m14 0h2M5.600 5.600l1.400 1.400m10 10 1.400 1.400m0-12.800-1.400 1.400m-10 10-1.400 1.400M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  moon: "M20 14.500A8 8 0 0 1 9.500 4 8 8 0 1 0 20 14.500z",
  screen: "M3 5h18v11H3zM9 20h6m-3-4v4",
  plus: "M12 5v14M5 12h14",
  download: "M12 4v11m-5-5 5 5 5-5M5 20h14",
} as const;

export function Icon({ name }: { name: keyof typeof ICONS }) {
  return (
    <svg
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={ICONS[name]} />
    </svg>
  );
}

export function Mark() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#0b6480" />
      <path
        d="M5 13c3.700-4 7.300-4 11 0s7.300 4 11 0"
        fill="none"
        stroke="#fff"
        strokeWidth="3"
        strokeLinecap="round"
      />
      <path
        d="M5 21c3.700-4 7.300-4 11 0s7.300 4 11 0"
        fill="none"
        stroke="#8fd3e6"
        strokeWidth="3"
        strokeLinecap="round"
      />
    </svg>
  );
}

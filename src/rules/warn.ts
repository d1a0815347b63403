/** Warnings for whoever runs the test. */

/** Prints one. Looked up at each call, so that a test runner that replaces the console gets it too. */
export function warn(text: string): void {
  console.warn(`playwright-mitm: ${text}`)
}

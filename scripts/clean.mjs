/** Removes what the build made, so that no file of a deleted source stays in the package. */
import { rm } from 'node:fs/promises'

await rm(new URL('../dist', import.meta.url), { recursive: true, force: true })

/**
 * Unpacks the Chromium of `@sparticuz/chromium` into a folder, with its libraries and fonts. The second argument is the
 * folder's name later on: the font list holds it.
 *
 * A process of its own, because that package decides by the environment where to unpack and what, and changes the
 * environment when it is imported. Run by `browser.ts`.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'

const [folder, laterFolder] = process.argv.slice(2)
if (!folder || !laterFolder) throw new Error('usage: inflate-chromium.mjs FOLDER LATER-FOLDER')

process.env.TMPDIR = folder
// Makes it unpack the NSS libraries too, which a bare machine does not have.
process.env.AWS_EXECUTION_ENV = 'AWS_Lambda_nodejs20.x'
const { default: chromium } = await import('@sparticuz/chromium')
await chromium.executablePath()

// Its font list names the folders of AWS Lambda.
const list = join(folder, 'fonts', 'fonts.conf')
const text = (await readFile(list, 'utf8')).replaceAll('/tmp/fonts', join(laterFolder, 'fonts'))
// Not over the old one: it may be read-only.
await rm(list)
await writeFile(list, text)

const PRODUCTS_URL = '/products.json'
const PRICE_URL = 'https://api.shop.test/price'
const CHARGE_URL = 'https://pay.test/charge'
const PAYMENT_RETRIES = 2

const list = document.querySelector('ul')
const total = document.querySelector('#total')
const button = document.querySelector('button')
const status = document.querySelector('[role=status]')
const alert = document.querySelector('[role=alert]')

async function getJson(url, init) {
  const response = await fetch(url, init)
  if (!response.ok) throw new Error(`${response.status} from ${url}`)
  return response.json()
}

/** A payment may be lost on its way, so it is tried again; one that was answered is not. */
async function charge(eur) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await fetch(CHARGE_URL, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ eur }),
      })
    } catch (error) {
      if (attempt === PAYMENT_RETRIES) throw error
    }
  }
}

async function pay(eur) {
  button.disabled = true
  status.textContent = 'Paying…'
  alert.textContent = ''
  try {
    const response = await charge(eur)
    if (!response.ok) throw new Error(`the bank said ${response.status}`)
    status.textContent = `Paid ${eur} €`
  } catch (error) {
    status.textContent = ''
    alert.textContent = `Payment failed: ${error.message}`
    button.disabled = false
  }
}

try {
  const products = await getJson(PRODUCTS_URL)
  list.replaceChildren(
    ...products.map(({ name, eur }) =>
      Object.assign(document.createElement('li'), { textContent: `${name}, ${eur} €` }),
    ),
  )
  // The header makes the browser ask first, with a preflight.
  const { eur } = await getJson(PRICE_URL, { headers: { 'x-shop-client': 'web' } })
  total.textContent = `${eur} €`
  button.addEventListener('click', () => void pay(eur))
  button.disabled = false
} catch (error) {
  alert.textContent = `The shop is closed: ${error.message}`
}

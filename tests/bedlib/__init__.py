"""The test bed: sites with real Postfix, name servers and test CA, each in its own network namespace.

`tests/bed` is its command line, `tests/integration/` and `packaging/quickstart` import it. Modules, lowest first:
  run     subprocesses, waiting, small files
  netns   network namespaces
  pki     the test CA
  dns     signed zones, nsd, unbound
  mta     one Postfix instance (and its SASL server)
  sendmail  Sendmail in the place of a site's Postfix
  dkim    a DKIM signer at a site
  daemons restante-fetchd and restante-milter of one site
  bed     all of it: names, addresses, folder, up and down
"""

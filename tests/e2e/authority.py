"""A certification authority for one test run."""

from pathlib import Path

import trustme


class Authority:
    """Its certificate is in `file`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.file = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.file)

    def certificate(self, *names: str) -> Path:
        """A file with a key and a certificate for these names and addresses."""
        path = self.folder / f"{'-'.join(names)}.pem"
        if not path.exists():
            self.authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(path)
        return path

    def configuration(self, *names: str) -> str:
        """Of a server of ours that has them."""
        return f"tls: {{certificate: {self.certificate(*names)}, ca: {self.file}}}"

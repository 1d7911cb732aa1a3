"""Asks a head whether it accepts a token, in milliseconds; Ray itself tries for half a minute and does not say why not.

Does not import Ray, only gRPC, which comes with it.
"""

from pathlib import Path

from homeport.domain.errors import InvalidRequest, Unavailable

_METHOD = "/ray.rpc.NodeInfoGcsService/GetClusterId"
_LIMIT_S = 10.0


def check_token(address: str, token_file: Path) -> bytes:
    """Return what names the cluster at an address: the same until its head is started again.

    Raises InvalidRequest for a token that is not the cluster's, Unavailable if no head answers at the address.
    """
    import grpc

    token = token_file.read_text("ascii").strip()
    with grpc.insecure_channel(address) as channel:
        try:
            call = channel.unary_unary(_METHOD)
            return bytes(call(b"", timeout=_LIMIT_S, metadata=(("authorization", f"Bearer {token}"),)))
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
                raise InvalidRequest(
                    f"The cluster at {address} does not accept the token in {token_file}: copy the head's token file "
                    "to this machine."
                ) from error
            raise Unavailable(
                f"No cluster answers at {address} ({error.code().name.lower()}). Is its head running?"
            ) from error

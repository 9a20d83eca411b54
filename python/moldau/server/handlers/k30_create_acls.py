"""CreateAcls (KIP-140): there are no ACLs without an authorizer."""

from moldau.server.handlers import Api
from moldau.server.not_offered import access_control as handle

__all__ = ["API", "handle"]

API = Api(30, "CreateAcls", (1, 3), note="refused: SECURITY_DISABLED")

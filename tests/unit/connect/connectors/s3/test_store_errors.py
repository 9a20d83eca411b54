"""What is said of a store that refuses."""

import pytest
from obstore.exceptions import GenericError

from moldau.connect.connectors.s3.bucket import BucketSettings, store_error
from moldau.connect.errors import RetriableError


@pytest.fixture
def settings():
    return BucketSettings(name="lake", region="us-east-1")


def test_without_credentials_it_is_said_where_to_put_them(settings):
    asked = GenericError("Generic S3 error: Error performing PUT http://192.0.2.1/latest/api/token in 4ms - refused")
    error = store_error(asked, settings)
    assert not isinstance(error, RetriableError)
    assert "192.0.2.1" not in str(error)
    assert "aws.access.key.id" in str(error)
    assert "AWS_ACCESS_KEY_ID" in str(error)

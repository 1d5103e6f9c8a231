"""Tokens, accounts and entity lists over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from owox_tiktok.local.tiktok import Server, World, oracle
from owox_tiktok.local.tiktok.catalogue import stream_fields

from .conftest import Client

# path, stream, key of the rows, largest page (None: not paged)
LISTS = [
    ("campaign/get", "campaigns", "list", 1000),
    ("adgroup/get", "ad_groups", "list", 1000),
    ("ad/get", "ads", "list", 1000),
    ("smart_plus/campaign/get", "smart_plus_campaigns", "list", 1000),
    ("smart_plus/adgroup/get", "smart_plus_ad_groups", "list", 1000),
    ("smart_plus/ad/get", "smart_plus_ads", "list", 1000),
    ("dmp/custom_audience/list", "audiences", "list", 100),
    ("file/image/ad/search", "images", "list", 100),
    ("file/video/ad/search", "videos", "list", 100),
    ("file/music/get", "music", "musics", 1000),
    ("creative/portfolio/list", "portfolios", "creative_portfolios", 100),
    ("tt_video/list", "spark_ads", "list", 50),
    ("pixel/list", "pixels", "pixels", 20),
    ("identity/get", "identities", "identity_list", 100),
    ("gmv_max/store/list", "gmv_max_stores", "store_list", None),
    ("tool/language", "languages", "languages", None),
    ("tool/interest_category", "interest_categories", "interest_categories", None),
    ("tool/action_category", "action_categories", "action_categories", None),
    ("search/region", "regions", "region_list", None),
]
MANAGED = LISTS[:6]


@pytest.mark.parametrize(("path", "stream", "key", "largest"), LISTS)
def test_lists_hold_every_row_with_every_field(
    client: Client, world: World, path: str, stream: str, key: str, largest: int | None
) -> None:
    for one in world.advertiser_ids:
        rows: list[dict[str, Any]] = []
        if largest is None:
            data = client.data(path, advertiser_id=one)
            assert set(data) == {key}
            rows = data[key]
        else:
            page = 1
            while True:
                data = client.data(path, advertiser_id=one, page=page, page_size=5)
                assert set(data) == {key, "page_info"}
                assert len(data[key]) <= 5
                rows += data[key]
                if page >= data["page_info"]["total_page"]:
                    break
                page += 1
            assert data["page_info"]["total_number"] == len(rows) > 1
        assert rows == oracle.entity_rows(world, one, stream, include_deleted=False)
        fields = set(stream_fields()[stream]) - {"spark_ads_post_id"}
        assert all(set(row) == fields for row in rows)


@pytest.mark.parametrize(("path", "stream", "key", "largest"), [one for one in LISTS if one[3]])
def test_page_sizes(client: Client, world: World, path: str, stream: str, key: str, largest: int) -> None:
    one = world.advertiser_ids[0]
    assert client.ask(path, advertiser_id=one, page_size=largest)["code"] == 0
    for wrong in (largest + 1, 0):
        envelope = client.ask(path, advertiser_id=one, page_size=wrong)
        assert envelope["code"] == 40002
        assert "page_size" in envelope["message"]


def test_wire_types(client: Client, world: World) -> None:
    one = world.advertiser_ids[0]
    campaign = client.data("campaign/get", advertiser_id=one)["list"][0]
    assert isinstance(campaign["campaign_id"], str)
    assert isinstance(campaign["budget"], float)
    datetime.strptime(campaign["create_time"], "%Y-%m-%d %H:%M:%S")
    group = client.data("adgroup/get", advertiser_id=one)["list"][0]
    assert len(group["dayparting"]) == 336
    assert set(group["dayparting"]) <= {"0", "1"}
    assert group["skip_learning_phase"] in (0, 1)
    assert not isinstance(group["skip_learning_phase"], bool)
    assert isinstance(group["location_ids"], list)
    ads = client.data("ad/get", advertiser_id=one, page_size=100)["list"]
    assert {type(ad["tracking_pixel_id"]) for ad in ads} == {int}
    assert 0 in {ad["tracking_pixel_id"] for ad in ads}
    assert ads[0]["landing_page_urls"] is None
    image = client.data("file/image/ad/search", advertiser_id=one)["list"][0]
    assert image["create_time"].endswith("Z")
    spark = client.data("tt_video/list", advertiser_id=one)["list"][0]
    assert spark["item_info"]["item_id"]
    assert "spark_ads_post_id" not in spark
    pixels = client.data("pixel/list", advertiser_id=one)["pixels"]
    assert {type(pixel["create_time"]) for pixel in pixels} == {int, str}


@pytest.mark.parametrize(("path", "stream", "key", "largest"), MANAGED)
def test_deleted_are_hidden_unless_asked(
    client: Client, world: World, path: str, stream: str, key: str, largest: int
) -> None:
    one = world.advertiser_ids[0]

    def ids(**wanted: str) -> list[str]:
        data = client.data(path, advertiser_id=one, page_size=1000, **({"filtering": wanted} if wanted else {}))
        name = next(iter(stream_fields()[stream]))
        return [row[name] for row in data[key]]

    prefix = {"campaign": "CAMPAIGN", "adgroup": "ADGROUP", "ad": "AD"}[path.split("/")[-2]]
    everything = ids(primary_status="STATUS_ALL")
    assert everything == ids(secondary_status=f"{prefix}_STATUS_ALL")
    assert everything == sorted(everything, reverse=True)
    deleted = ids(primary_status="STATUS_DELETE")
    assert deleted
    assert ids() == ids(primary_status="STATUS_NOT_DELETE") == [one for one in everything if one not in deleted]
    assert deleted == ids(secondary_status=f"{prefix}_STATUS_DELETE")
    assert ids(primary_status="STATUS_DISABLE")
    other = "AD" if prefix != "AD" else "CAMPAIGN"
    envelope = client.ask(path, advertiser_id=one, filtering={"secondary_status": f"{other}_STATUS_ALL"})
    assert envelope["code"] == 40002
    assert client.ask(path, advertiser_id=one, filtering={"primary_status": "ALL"})["code"] == 40002


def test_id_filters(client: Client, world: World) -> None:
    one = world.advertiser_ids[0]
    ads = oracle.entity_rows(world, one, "ads", include_deleted=False)
    for name, row_name in (("ad_ids", "ad_id"), ("adgroup_ids", "adgroup_id"), ("campaign_ids", "campaign_id")):
        wanted = [ads[0][row_name]]
        found = client.data("ad/get", advertiser_id=one, page_size=100, filtering={name: wanted})["list"]
        assert found == [row for row in ads if row[row_name] in wanted]
        assert len(found) < len(ads)
    many = [str(number) for number in range(101)]
    assert client.ask("ad/get", advertiser_id=one, filtering={"ad_ids": many})["code"] == 40002
    envelope = client.ask("ad/get", advertiser_id=one, filtering={"ad_ids": "1"})
    assert envelope["message"] == "filtering: ad_ids: Field must be set to array"
    assert client.ask("ad/get", advertiser_id=one, filtering=[])["code"] == 40002


def test_modified_after_is_for_ads_only(client: Client, world: World) -> None:
    one = world.advertiser_ids[0]
    ads = oracle.entity_rows(world, one, "ads", include_deleted=False)
    times = sorted(row["modify_time"] for row in ads)
    bound = times[len(times) // 2]
    found = client.data("ad/get", advertiser_id=one, page_size=100, filtering={"modified_after": bound})["list"]
    assert found == [row for row in ads if row["modify_time"] > bound]
    assert 0 < len(found) < len(ads)
    groups = client.data("adgroup/get", advertiser_id=one, filtering={"modified_after": "2030-01-01 00:00:00"})["list"]
    assert groups
    assert client.ask("ad/get", advertiser_id=one, filtering={"modified_after": "2030-01-01"})["code"] == 40002


def test_a_deleted_ad_counts_as_modified(client: Client, world: World) -> None:
    one = world.advertiser_ids[0]
    ad = oracle.entity_rows(world, one, "ads", include_deleted=False)[0]["ad_id"]
    world.as_of = datetime(2026, 7, 1, 9, tzinfo=UTC)
    world.delete(one, "ad", ad)
    wanted = {"modified_after": "2026-07-01 08:59:59", "primary_status": "STATUS_ALL"}
    rows = client.data("ad/get", advertiser_id=one, filtering=wanted)["list"]
    assert [(row["ad_id"], row["secondary_status"]) for row in rows] == [(ad, "AD_STATUS_DELETE")]


def test_fields(client: Client, world: World) -> None:
    one = world.advertiser_ids[0]
    rows = client.data("campaign/get", advertiser_id=one, fields=["campaign_id", "budget"])["list"]
    assert all(list(row) == ["campaign_id", "budget"] for row in rows)
    envelope = client.ask("campaign/get", advertiser_id=one, fields=["campaign_id", "colour"])
    assert envelope["code"] == 40002
    assert "['colour']" in envelope["message"]
    assert client.ask("campaign/get", advertiser_id=one, fields="campaign_id")["code"] == 40002
    dense = client.data("ad/get", advertiser_id=one, exclude_field_types_in_response=["NULL_FIELD"])["list"]
    assert all(value is not None for row in dense for value in row.values())


def test_audiences_by_id(client: Client, world: World) -> None:
    one = world.advertiser_ids[0]
    first = oracle.entity_rows(world, one, "audiences")[0]
    ids = [first["audience_id"]]
    assert client.data("dmp/custom_audience/list", advertiser_id=one, custom_audience_ids=ids)["list"] == [first]


def test_accounts(client: Client, server: Server, world: World) -> None:
    app = {"app_id": server.app_id, "secret": server.app_secret}
    listed = client.data("oauth2/advertiser/get", **app)["list"]
    assert [row["advertiser_id"] for row in listed] == world.advertiser_ids
    assert client.ask("oauth2/advertiser/get", app_id=server.app_id, secret="wrong")["code"] == 40101
    assert client.ask("oauth2/advertiser/get", app_id=server.app_id)["code"] == 40002
    data = client.data("advertiser/info", advertiser_ids=world.advertiser_ids)
    assert set(data) == {"list"}
    assert data["list"] == [
        row for one in world.advertiser_ids for row in oracle.entity_rows(world, one, "advertisers")
    ]
    assert "company_name_editable" not in data["list"][0]
    named = client.data("advertiser/info", advertiser_ids=world.advertiser_ids, fields=["company_name_editable"])
    assert list(named["list"][0]) == ["company_name_editable"]
    assert client.ask("advertiser/info", advertiser_ids=world.advertiser_ids[0])["message"] == (
        "advertiser_ids: Field must be set to array"
    )
    assert client.ask("advertiser/info")["code"] == 40002
    assert client.ask("advertiser/info", advertiser_ids=["1"])["code"] == 40001
    assert client.data("user/info")["email"]


def test_tokens(client: Client, server: Server, world: World) -> None:
    def code(token: str | None) -> int:
        headers = {} if token is None else {"Access-Token": token}
        response = requests.get(f"{server.url}user/info/", headers=headers, timeout=5)
        assert response.status_code == 200
        return int(response.json()["code"])

    assert code(server.token) == 0
    assert code(None) == code("") == 40104
    assert code("another") == 40105
    envelope = client.ask("campaign/get", advertiser_id="7000000000000000000")
    assert envelope["code"] == 40001
    assert envelope["message"].startswith("No permission to operate advertiser")


def test_oauth_flow(client: Client, server: Server, world: World) -> None:
    url = f"{server.url}oauth2/access_token/"
    body = {"app_id": server.app_id, "secret": server.app_secret, "auth_code": server.auth_code}

    def post(address: str, **changes: str | None) -> dict[str, Any]:
        response = requests.post(address, json=body | changes, timeout=5)
        assert response.status_code == 200
        return dict(response.json())

    assert post(url, auth_code=None)["code"] == 40002
    assert post(url, secret="wrong")["code"] == 40101
    assert post(url, auth_code="wrong")["code"] == 40110
    data = post(url)["data"]
    assert data["access_token"] == server.token
    assert data["advertiser_ids"] == world.advertiser_ids
    assert all(isinstance(one, int) for one in data["scope"])
    assert post(url)["code"] == 40110, "a code is good for one exchange"
    revoked = post(f"{server.url}oauth2/revoke_token/", access_token=server.token)
    assert revoked["data"]["app_id"] == server.app_id
    assert client.ask("user/info")["code"] == 40105
    assert post(url, auth_code=server.credentials.new_auth_code())["code"] == 0
    assert client.ask("user/info")["code"] == 0
    assert requests.post(url, data=b"app_id=1", timeout=5).json()["code"] == 40002


def test_http_itself(client: Client, server: Server) -> None:
    assert requests.get(f"{server.url}nothing/here/", timeout=5).status_code == 404
    assert requests.get(server.url.replace("v1.3", "v1.2") + "user/info/", timeout=5).status_code == 404
    assert requests.get(f"{server.url}user/info", timeout=5).status_code == 404
    assert requests.post(f"{server.url}user/info/", json={}, timeout=5).status_code == 405
    ports = set()
    for _ in range(3):
        response = client.session.get(f"{server.url}user/info/", stream=True, timeout=5)
        connection = response.raw.connection
        assert connection is not None
        assert connection.sock is not None
        ports.add(connection.sock.getsockname()[1])
        assert response.json()["message"] == "OK"
    assert len(ports) == 1, "one connection serves many requests"

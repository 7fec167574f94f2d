from dichoseg.weights import ModelCard
from dichoseg.weights.card import card_text, write_card


def head_of(text):
    from huggingface_hub import ModelCard as HubCard

    return HubCard(text).data.to_dict()


def test_value_card(small_isnet, tmp_path):
    card = ModelCard(
        data="700 photographs.",
        scores={"max_f": 0.9, "mae": 0.03125},
        evaluated_on="100 others",
        license="apache-2.0",
        notes="Made for tests.",
    )
    write_card(small_isnet, tmp_path, card)
    text = (tmp_path / "README.md").read_text()
    head = head_of(text)
    assert (head["library_name"], head["license"], head["pipeline_tag"]) == (
        "dichoseg",
        "apache-2.0",
        "image-segmentation",
    )
    for part in (
        "700 photographs.",
        "| `mae` | 0.0312 |",
        "On 100 others.",
        '- name: `"isnet"`',
        "- size: `64`",
        "Made for",
    ):
        assert part in text


def test_value_card_without_knowledge(small_isnet):
    text = card_text(small_isnet, ModelCard())
    assert head_of(text)["license"] == "unknown"
    assert text.count("Not stated.") == 2
    assert "\n\n\n" not in text

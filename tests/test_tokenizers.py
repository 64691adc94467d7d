"""The tokenisers, beside `tokenizers`, `tiktoken`, GPT-2's own ids and a naive byte-pair encoding."""

import json
import pydoc_data.topics
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiktoken
import tokenizers as hugging_face
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt.errors import MinigptError
from minigpt.tokenizer_files import load_tokenizer, save_tokenizer, to_json
from minigpt.tokenizers import (
    END_OF_TEXT,
    WORD_PATTERN,
    BytePairTokenizer,
    ByteTokenizer,
    CharacterTokenizer,
    StreamDecoder,
    split_words,
    train_byte_pairs,
)

SHARED = Path(__file__).resolve().parents[2] / "shared"
TEXT = (
    "".join(pydoc_data.topics.topics.values())[:60_000] + "风筝在树上。小明放风筝，小红看风筝。😀 naïve café\r\n\t" * 20
)
TRAINED = train_byte_pairs([TEXT], 600)
CHARACTERS = CharacterTokenizer.from_text(TEXT)


def known_to_every_unicode_table(character: str) -> bool:
    return unicodedata.ucd_3_2_0.category(character) not in ("Cn", "Cs")  # newer letters are not letters to everybody


def some_text() -> st.SearchStrategy[str]:
    """Any characters, mixed with what the splitting pattern and the special token treat apart."""
    pieces = [
        "'ll",
        "'S",
        "  ",
        " \n",
        "\x1f",
        "\u3000",
        "\x85",
        "١٢",
        "½",
        "e\u0301",
        "放风筝",
        "😀👩\u200d💻",
        END_OF_TEXT,
    ]
    piece = st.one_of(st.characters().filter(known_to_every_unicode_table), st.sampled_from([*pieces, *TEXT.split()]))
    return st.lists(piece, max_size=40).map("".join)


def saved(tokenizer, folder: Path) -> hugging_face.Tokenizer:
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    return hugging_face.Tokenizer.from_file(str(folder / "tokenizer.json"))


def gpt2() -> BytePairTokenizer:
    folder = SHARED / "golden" / "gpt2_bpe"
    if not folder.exists():
        pytest.skip(f"GPT-2's vocabulary is not at {folder}")
    return load_tokenizer(folder)


# ---- Round trips ----


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), TRAINED], ids=["bytes", "byte pairs"])
@given(text=st.text(), data=st.binary())
def test_any_text_and_any_bytes_survive_a_round_trip(tokenizer, text, data):
    for allow_special in (False, True):
        assert tokenizer.decode(tokenizer.encode(text, allow_special)) == text
    assert tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data
    assert tokenizer.encode_bytes(text.encode()) == tokenizer.encode(text)


@given(st.text(alphabet="".join(CHARACTERS.characters)))
def test_text_in_known_characters_survives_a_round_trip(text):
    ids = CHARACTERS.encode(text)
    assert len(ids) == len(text)
    assert CHARACTERS.decode(ids) == text


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), TRAINED, CHARACTERS], ids=repr)
def test_ids_may_come_from_numpy_and_torch(tokenizer):
    ids = tokenizer.encode("the 风筝")
    assert tokenizer.decode(np.array(ids, dtype=np.uint16)) == "the 风筝"
    assert tokenizer.decode(torch.tensor(ids)) == "the 风筝"
    assert tokenizer.decode(list(torch.tensor(ids))) == "the 风筝"
    assert StreamDecoder(tokenizer).feed(torch.tensor(ids[0])) == tokenizer.decode(ids[:1])


@given(st.lists(st.integers(0, TRAINED.vocabulary_size - 1)))
def test_a_stream_gives_the_same_text_as_decoding_at_once_for_any_ids(ids):
    stream = StreamDecoder(TRAINED)
    assert "".join([*map(stream.feed, ids), stream.finish()]) == TRAINED.decode(ids)


def test_a_stream_never_gives_half_a_character():
    stream = StreamDecoder(ByteTokenizer())
    assert [stream.feed(byte) for byte in "a风".encode()] == ["a", "", "", "风"]
    assert [stream.feed(0xE9), stream.finish()] == ["", "\ufffd"]


# ---- Special tokens ----


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), TRAINED, CharacterTokenizer.from_text("ab" + END_OF_TEXT)])
def test_a_special_token_is_ordinary_text_unless_it_is_allowed(tokenizer):
    text = f"a{END_OF_TEXT}b"
    assert tokenizer.end_of_text == tokenizer.vocabulary_size - 1
    assert tokenizer.end_of_text not in tokenizer.encode(text)
    assert tokenizer.encode(text, allow_special=True) == [
        *tokenizer.encode("a"),
        tokenizer.end_of_text,
        *tokenizer.encode("b"),
    ]
    assert tokenizer.token_bytes(tokenizer.end_of_text) == END_OF_TEXT.encode()


def test_of_two_special_tokens_the_longer_one_is_taken():
    tokenizer = BytePairTokenizer(special={END_OF_TEXT: 256, "<a>": 257, "<a><b>": 258})
    assert tokenizer.encode("<a><b><a>", allow_special=True) == [258, 257]


# ---- The same ids as others ----


@settings(max_examples=300)
@given(text=some_text())
def test_a_trained_tokenizer_gives_the_ids_of_the_tokenizers_library(tmp_path_factory, text):
    theirs = saved(TRAINED, tmp_path_factory.getbasetemp())
    assert TRAINED.encode(text, allow_special=True) == theirs.encode(text).ids
    theirs.encode_special_tokens = True
    ids = TRAINED.encode(text)
    assert ids == theirs.encode(text).ids
    assert theirs.decode(ids, skip_special_tokens=False) == text


def test_every_character_that_old_unicode_knows_is_split_as_the_tokenizers_library_does(tmp_path):
    theirs = saved(ByteTokenizer(), tmp_path).pre_tokenizer
    known = filter(known_to_every_unicode_table, map(chr, range(0x110000)))
    for character in known:
        text = f"a{character}1{character}.{character} {character}b"
        assert len(split_words(text)) == len(theirs.pre_tokenize_str(text)), hex(ord(character))


@given(text=some_text())
def test_a_trained_tokenizer_gives_the_ids_of_tiktoken(text):
    theirs = tiktoken.Encoding(
        "ours", pat_str=WORD_PATTERN.pattern, mergeable_ranks=TRAINED.vocabulary, special_tokens={}
    )
    assert TRAINED.encode(text) == theirs.encode(text)


@pytest.mark.parametrize("letters", ["a", "ab", "abc", "e", "tion", "the"])
def test_a_very_long_word_gives_the_same_ids_too(tmp_path, letters):
    word = letters * 20_000
    assert TRAINED.encode(word) == saved(TRAINED, tmp_path).encode(word).ids


@given(text=st.text(alphabet="".join(CHARACTERS.characters)))
def test_saved_characters_give_the_same_ids_in_the_tokenizers_library(tmp_path_factory, text):
    theirs = saved(CHARACTERS, tmp_path_factory.getbasetemp())
    special = f"{text}{END_OF_TEXT}{text}"
    assert theirs.encode(special).ids == CHARACTERS.encode(special, allow_special=True)
    theirs.encode_special_tokens = True
    for ordinary in (text, special):
        ids = CHARACTERS.encode(ordinary)
        assert theirs.encode(ordinary).ids == ids
        assert theirs.decode(ids) == ordinary


def test_gpt2_gives_the_golden_ids():
    tokenizer = gpt2()
    cases = json.loads((SHARED / "golden" / "bpe.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) >= 25
    for case in cases:
        assert tokenizer.encode(case["text"], allow_special=True) == case["ids"], case["text"]
        assert tokenizer.encode(case["text"]) == case.get("ids_special_as_text", case["ids"]), case["text"]
        assert tokenizer.decode(case["ids"]) == case["text"]


def test_gpt2_saved_and_read_again_gives_the_ids_of_the_tokenizers_library(tmp_path):
    tokenizer = gpt2()
    theirs = saved(tokenizer, tmp_path)
    assert (tokenizer.vocabulary_size, tokenizer.end_of_text) == (50257, 50256)
    assert tokenizer.encode(TEXT) == theirs.encode(TEXT).ids == load_tokenizer(tmp_path).encode(TEXT)


# ---- Training ----


def naive_merges(text: str, vocabulary_size: int) -> list[tuple[bytes, bytes]]:
    """Byte-pair training as it is defined: count everything anew for each merge."""
    words = [list(word.encode()) for word in split_words(text)]
    tokens = [bytes([byte]) for byte in range(256)]
    merges = []
    while len(tokens) < vocabulary_size - 1:
        counts = Counter(pair for word in words for pair in zip(word, word[1:]))
        if not counts:
            break
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        left, right = tokens[pair[0]], tokens[pair[1]]
        merges.append((left, right))
        if left + right not in tokens:
            tokens.append(left + right)
        words = [naive_merge(word, pair, tokens.index(left + right)) for word in words]
    return merges


def naive_merge(word: list[int], pair: tuple[int, int], token: int) -> list[int]:
    merged, i = [], 0
    while i < len(word):
        found = tuple(word[i : i + 2]) == pair
        merged.append(token if found else word[i])
        i += 2 if found else 1
    return merged


@settings(max_examples=300)
@given(st.one_of(st.text(alphabet="ab ", min_size=1, max_size=200), some_text().filter(bool)), st.integers(257, 320))
def test_training_learns_the_merges_of_the_naive_algorithm(text, vocabulary_size):
    assert train_byte_pairs([text], vocabulary_size).merges == naive_merges(text, vocabulary_size)


def test_training_on_natural_text_learns_the_merges_of_the_naive_algorithm():
    text = TEXT[:3000] + TEXT[-600:]
    assert train_byte_pairs([text], 400).merges == naive_merges(text, 400)


def test_the_words_of_many_texts_are_counted_together_in_any_order():
    halves = [TEXT[:30_000], TEXT[30_000:]]
    merges = train_byte_pairs(halves, 500).merges
    assert merges == train_byte_pairs(reversed(halves), 500).merges
    assert len(merges) == 500 - 257


def test_a_text_with_too_few_pairs_gives_a_smaller_vocabulary():
    tokenizer = train_byte_pairs("aab", 1000)
    assert tokenizer.merges == [(b"a", b"a"), (b"aa", b"b")]
    assert (tokenizer.vocabulary_size, tokenizer.end_of_text) == (259, 258)


def test_training_compresses():
    assert len(TRAINED.encode(TEXT)) < 0.5 * len(TEXT.encode())


# ---- Files ----


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), TRAINED, CHARACTERS], ids=repr)
def test_a_saved_tokenizer_is_read_back_the_same(tmp_path, tokenizer):
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        again = load_tokenizer(path)
        assert again.fingerprint == tokenizer.fingerprint
        assert again.encode(TEXT) == tokenizer.encode(TEXT)
        assert (again.vocabulary_size, again.end_of_text) == (tokenizer.vocabulary_size, tokenizer.end_of_text)


def test_fingerprints_tell_tokenizers_apart():
    tokenizers = [ByteTokenizer(), TRAINED, CHARACTERS, BytePairTokenizer(TRAINED.merges[:-1])]
    assert len({tokenizer.fingerprint for tokenizer in tokenizers}) == 4
    assert TRAINED.fingerprint == BytePairTokenizer(TRAINED.merges).fingerprint


def test_a_tokenizer_that_the_tokenizers_library_trained_is_read_with_merges_in_either_form(tmp_path):
    theirs = hugging_face.ByteLevelBPETokenizer()
    theirs.train_from_iterator([TEXT], vocab_size=500, special_tokens=[END_OF_TEXT, "<pad>"], show_progress=False)
    theirs.save(str(tmp_path / "pairs.json"))
    value = json.loads((tmp_path / "pairs.json").read_text(encoding="utf-8"))
    assert isinstance(value["model"]["merges"][0], list)
    value["model"]["merges"] = [" ".join(pair) for pair in value["model"]["merges"]]
    (tmp_path / "strings.json").write_text(json.dumps(value), encoding="utf-8")
    for name in ("pairs.json", "strings.json"):
        ours = load_tokenizer(tmp_path / name)
        assert (ours.vocabulary_size, ours.end_of_text) == (500, 0)
        assert ours.encode(f"{TEXT}<pad>", allow_special=True) == theirs.encode(f"{TEXT}<pad>").ids


def test_a_folder_with_vocabulary_and_merges_is_read(tmp_path):
    theirs = hugging_face.ByteLevelBPETokenizer()
    theirs.train_from_iterator(["# # ## ## " + TEXT], vocab_size=500, special_tokens=[END_OF_TEXT], show_progress=False)
    theirs.save_model(str(tmp_path))  # merges.txt has merges that begin with "#"
    assert load_tokenizer(tmp_path).encode("## # " + TEXT) == theirs.encode("## # " + TEXT).ids


def test_a_vocabulary_without_end_of_text_gets_it_as_the_last_id(tmp_path):
    theirs = hugging_face.ByteLevelBPETokenizer()
    theirs.train_from_iterator([TEXT], vocab_size=300, show_progress=False)
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    assert (ours.end_of_text, ours.vocabulary_size) == (300, 301)
    assert ours.encode(TEXT) == theirs.encode(TEXT).ids


# ---- Bad input ----


def test_an_unknown_character_is_named_with_its_position():
    tokenizer = CharacterTokenizer.from_text("abc")
    with pytest.raises(MinigptError, match=r"'€' \(U\+20AC\) at position 3 .* byte-pair tokenizer"):
        tokenizer.encode("abc€")
    with pytest.raises(MinigptError, match="'€' .* at position 14 "):
        tokenizer.encode(f"a{END_OF_TEXT}€", allow_special=True)


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), TRAINED], ids=repr)
@pytest.mark.parametrize("surrogate", [chr(0xD800), chr(0xDC80)], ids=ascii)
def test_a_lone_surrogate_is_refused_with_its_position(tokenizer, surrogate):
    with pytest.raises(MinigptError, match=r"lone surrogate \(U\+D[8C][08]0\) at position 14"):
        tokenizer.encode(f"a{END_OF_TEXT}{surrogate}", allow_special=True)
    with pytest.raises(MinigptError, match="lone surrogate"):
        train_byte_pairs([surrogate], 300)
    with pytest.raises(MinigptError, match="lone surrogate"):
        CharacterTokenizer.from_text(surrogate)


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), TRAINED, CHARACTERS], ids=repr)
@pytest.mark.parametrize("wrong", [-1, 10**6, 1.5, "a", [1]])
def test_an_id_outside_the_vocabulary_is_refused(tokenizer, wrong):
    with pytest.raises(MinigptError, match=r"is not a token id of this tokenizer, which has \d+ tokens"):
        tokenizer.decode([1, wrong])
    with pytest.raises(MinigptError, match="is not a token id"):
        StreamDecoder(tokenizer).feed(wrong)


@pytest.mark.parametrize("size", [-1, 0, 256, 2_000_000])
def test_an_impossible_vocabulary_size_is_refused(size):
    with pytest.raises(MinigptError, match=f"cannot have {size} entries.* ask for 257 to"):
        train_byte_pairs(["text"], size)


@pytest.mark.parametrize("texts", ["", [], ["", ""]])
def test_an_empty_text_is_refused(texts):
    with pytest.raises(MinigptError, match="the text is empty"):
        train_byte_pairs(texts, 300)
    with pytest.raises(MinigptError, match="the text is empty"):
        CharacterTokenizer.from_texts(texts)


@pytest.mark.parametrize("characters", ["aa", ["ab", "c"], ["", "a"]])
def test_characters_must_be_single_and_different(characters):
    with pytest.raises(MinigptError, match="single and all different"):
        CharacterTokenizer(characters)


def test_a_vocabulary_that_does_not_fit_its_merges_is_refused():
    with pytest.raises(MinigptError, match=r"needs the token b'ab', which is not in the vocabulary"):
        BytePairTokenizer([(b"a", b"b")], vocabulary={b"a": 0, b"b": 1})
    for vocabulary, special in [({b"a": 0, b"b": 0}, {}), ({b"a": 0}, {END_OF_TEXT: 0})]:
        with pytest.raises(MinigptError, match="two tokens have the same id"):
            BytePairTokenizer(vocabulary=vocabulary, special=special)


def test_a_byte_that_a_foreign_vocabulary_lacks_is_named():
    with pytest.raises(MinigptError, match=r"no token for the byte b'c' in ' abc'"):
        BytePairTokenizer(vocabulary={b"a": 0, b"b": 1, b" ": 2}).encode("a abc")


def edited(path: list[str], value) -> str:
    """A good tokenizer.json with one value changed."""
    document = to_json(BytePairTokenizer([(b"a", b"b")]))
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return json.dumps(document)


DAMAGED = {
    "empty": "",
    "cut short": json.dumps(to_json(TRAINED))[:5000],
    "not a dictionary": "[1, 2]",
    "no model": "{}",
    "too deep": "[" * 100_000,
    "vocabulary is a list": edited(["model", "vocab"], [["a", 0.0]]),
    "merges missing": edited(["model", "merges"], None),
    "merge of three": edited(["model", "merges"], ["a b c"]),
    "merge of unknown tokens": edited(["model", "merges"], ["ab q"]),
    "id is a string": edited(["model", "vocab"], {"a": "0"}),
    "id is negative": edited(["model", "vocab"], {"a": -1}),
    "not in the alphabet": edited(["model", "vocab"], {"a b": 0}),
    "two tokens with one id": edited(["model", "vocab"], {"a": 0, "b": 1, "ab": 1}),
    "added token without id": edited(["added_tokens"], [{"content": "<x>"}]),
    "characters out of order": json.dumps(to_json(CHARACTERS)).replace('"a": ', '"a": 1'),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_sentence_that_names_it(tmp_path, name):
    path = tmp_path / "tokenizer.json"
    path.write_text(DAMAGED[name], encoding="utf-8")
    with pytest.raises(MinigptError, match="tokenizer.json (is|cannot be used).*;") as caught:
        load_tokenizer(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["normalizer"], {"type": "NFC"}, "normalizer"),
        (["pre_tokenizer"], None, "pre_tokenizer"),
        (["pre_tokenizer", "add_prefix_space"], True, "pre_tokenizer"),
        (["pre_tokenizer", "use_regex"], False, "pre_tokenizer"),
        (["post_processor"], {"type": "TemplateProcessing"}, "post_processor"),
        (["pre_tokenizer", "type"], "Whitespace", "pre_tokenizer"),
        (["model", "type"], "WordPiece", "model WordPiece"),
        (["model", "dropout"], 0.1, "dropout"),
        (["model", "end_of_word_suffix"], "</w>", "end_of_word_suffix"),
        (["added_tokens"], [{"content": "<x>", "id": 258, "lstrip": True}], "lstrip of '<x>'"),
    ],
)
def test_settings_that_would_give_other_ids_are_refused_by_name(tmp_path, path, value, named):
    (tmp_path / "tokenizer.json").write_text(edited(path, value), encoding="utf-8")
    with pytest.raises(MinigptError, match=rf"tokenizer.json cannot be used: .*\({named}\).* train one with minigpt"):
        load_tokenizer(tmp_path)


def test_characters_with_a_normalizer_are_refused(tmp_path):
    value = to_json(CHARACTERS) | {"normalizer": {"type": "Lowercase"}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(MinigptError, match=r"its settings \(normalizer\)"):
        load_tokenizer(tmp_path)


def test_a_missing_or_binary_file_is_one_sentence(tmp_path):
    with pytest.raises(MinigptError, match="there is no file"):
        load_tokenizer(tmp_path / "nothing.json")
    with pytest.raises(MinigptError, match="there is no file"):
        load_tokenizer(tmp_path)
    (tmp_path / "vocab.json").write_text("{}", encoding="utf-8")
    with pytest.raises(MinigptError, match=r"merges\.txt"):
        load_tokenizer(tmp_path)
    (tmp_path / "merges.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(MinigptError, match="is not a tokenizer that minigpt can read"):
        load_tokenizer(tmp_path)

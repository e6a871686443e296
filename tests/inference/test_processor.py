"""What a processor is fast at, by the text that Linux has of it."""

import io

import pytest

from inference import processor

XEON = "processor : 0\nvendor_id : GenuineIntel\nvmx flags : vnmi\nflags : fpu avx512f"
EPYC = "processor : 0\nvendor_id : AuthenticAMD\nflags : fpu avx512f"


@pytest.mark.parametrize(
    "text, bf16, amx, fast",
    [
        (f"{XEON} avx512_bf16 amx_bf16 amx_tile amx_int8\n", True, True, True),
        (f"{XEON} avx512_bf16 avx512_fp16\n", True, False, False),  # slower than fp32 there
        (f"{XEON} avx512_vnni\n", False, False, False),
        (f"{XEON} amx_tile amx_int8\n", False, False, False),
        (f"{EPYC} avx512_bf16\n", True, False, True),
        (f"{EPYC} avx2\n", False, False, False),
        ("processor : 0\nFeatures : fp asimd bf16\n", True, False, True),
        ("processor : 0\nFeatures : fp asimd\n", False, False, False),
        ("", False, False, False),
        (None, False, False, False),
    ],
)
def test_the_processor_says_what_it_can(monkeypatch, text, bf16, amx, fast):
    def opened(name):
        assert name == "/proc/cpuinfo"
        if text is None:
            raise FileNotFoundError(name)
        return io.StringIO(text)

    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", opened)
        said = processor.has_bf16(), processor.has_amx(), processor.is_fast_in_bf16()
    assert said == (bf16, amx, fast)

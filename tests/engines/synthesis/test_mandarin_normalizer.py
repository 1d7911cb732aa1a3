"""Digits and signs spelled out in Mandarin."""

import pytest

from homeport.engines.synthesis import mandarin_normalizer


@pytest.mark.parametrize(
    ("number", "spelled"),
    [
        ("0", "零"),
        ("10", "十"),
        ("12", "十二"),
        ("20", "二十"),
        ("101", "一百零一"),
        ("110", "一百一十"),
        ("1001", "一千零一"),
        ("1010", "一千零一十"),
        ("10001", "一万零一"),
        ("100010", "十万零一十"),
        ("1,234,567", "一百二十三万四千五百六十七"),
        ("100000001", "一亿零一"),
        ("10000000000000000", "一零零零零零零零零零零零零零零零零"),
        ("3.14", "三点一四"),
        ("007", "七"),
    ],
)
def test_numbers_are_read_by_their_value(number: str, spelled: str) -> None:
    """Places, groups of four and their zeros follow Mandarin rules; very long numbers are spelled digit by digit."""
    assert mandarin_normalizer.cardinal(number) == spelled


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("2026年11月25日", "二零二六年十一月二十五日"),
        ("2026-11-25", "二零二六年十一月二十五日"),
        ("14:30", "十四点三十分"),
        ("2:05:09", "两点零五分九秒"),
        ("18:00", "十八点整"),
        ("$1,234.50", "一千二百三十四点五零美元"),
        ("￥3.5万", "三点五万元"),
        ("12.5%", "百分之十二点五"),
        ("5%-10%", "百分之五到百分之十"),
        ("-5℃", "零下五摄氏度"),
        ("3kg和60km/h", "三公斤和六十公里每小时"),
        ("1/2", "二分之一"),
        ("3-5天", "三到五天"),
        ("2个人，12个人", "两个人，十二个人"),
        ("第2名", "第二名"),
        ("电话13800138000", "电话幺三八零零幺三八零零零"),
        ("3+5=8", "三加五等于八"),
        ("25:99", "二十五:九十九"),
    ],
)
def test_the_context_decides_how_a_number_is_read(written: str, spelled: str) -> None:
    """Years, dates, times, money, percentages, temperatures, units, fractions, ranges, measures and phone numbers."""
    assert mandarin_normalizer.normalize(written) == spelled

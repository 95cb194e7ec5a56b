"""Archives: told by their first bytes, unpacked in a confined child, their dumps written under names of ours."""

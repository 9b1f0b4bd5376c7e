# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: freethreading_compatible=False
"""The loops that cost most of a message, compiled. Each function names the Python that says the same, and is its specification.

Nothing of Unicode is known here: what a character is comes in as a table (`text.kinds`), and whatever begins a token of a rarer
sort is handed to the pattern itself. No function keeps anything between calls, so the interpreter's lock is all that threads need.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem, PyDict_SetItem
from cpython.ref cimport PyObject
from cpython.unicode cimport PyUnicode_FromKindAndData, PyUnicode_Substring, Py_UNICODE_ISALNUM
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.math cimport rint
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcpy, memset, strlen

cdef extern from "Python.h":
    Py_UCS4* PyUnicode_AsUCS4(object text, Py_UCS4* buffer, Py_ssize_t size, int copy_null) except NULL
    int PyUnicode_4BYTE_KIND
    bint PyUnicode_IS_ASCII(object text)
    Py_UCS4 PyUnicode_READ_CHAR(object text, Py_ssize_t at)
    int PyUnicode_KIND(object text)
    void* PyUnicode_DATA(object text)
    Py_UCS4 PyUnicode_READ(int kind, void* data, Py_ssize_t at)

# Kinds of characters, by what a token does that begins with one, and flags: the numbers of `text.kinds`.
cdef enum:
    ASK, SINGLE, SPACE, LETTER, LATIN, HAN, DIGIT, RUN, EMOJI, APOSTROPHE, OTHER
    KIND = 15
    UNBROKEN = 16  # never part of a larger grapheme
    LETTERS = 32  # may stand within a word of any script
    GOES_ON = 64  # may stand within a Latin word
    JOINS = 128  # may belong to the character before it
    LEAST_UNKNOWN = 0x20000  # code points from here on are not in the table
    PAGE = 4096  # bytes that a page begins with
    PADDING = 8  # zeros behind a text: as far as anything looks ahead
    SUMS = 64  # 8, and one for each halving of as many rows as there can be
    LONGEST = 4  # this and the next as in `chinese_words`
    ROW_BITS = 32
    WHOLE = 10000  # as in `calibrate`
    NOBODY = -1
    SUMMED = 4  # numbers of `quality.Texts` before its bins

cdef enum:  # members of an `EncodedAnalysis`
    JSON, LANGUAGE, SUPPORTED, LABEL, CHANCES, TRUNCATED, TERMS, MODEL

cdef enum:  # borders of runs: at the level before, and at this one
    BEGAN = 1
    ENDED = 2
    BEGINS = 4
    ENDS = 8


cdef inline uint8_t _kind(Py_UCS4 c, const uint8_t* kinds) noexcept nogil:
    if c < LEAST_UNKNOWN:
        return kinds[c]
    return ASK | JOINS


cdef inline bint _is(Py_UCS4 c, int kind, const uint8_t* kinds) noexcept nogil:
    return _kind(c, kinds) & KIND == kind


cdef inline Py_ssize_t _t(const Py_UCS4* s, Py_ssize_t at, const uint8_t* kinds) noexcept nogil:
    """Behind an apostrophe, perhaps a space, and a t that ends a word; 0 where that does not stand there."""
    if not _is(s[at], APOSTROPHE, kinds):
        return 0
    at += 1 + _is(s[at + 1], SPACE, kinds)
    return at + 1 if s[at] == c"t" and not _is(s[at + 1], LETTER, kinds) else 0


cdef inline Py_ssize_t _not(const Py_UCS4* s, Py_ssize_t at, const uint8_t* kinds) noexcept nogil:
    """The end of an English word whose letters end at `at`: with its 't, n't or tokenised n 't."""
    cdef Py_ssize_t behind = at, end
    cdef bint apart = _is(s[at], SPACE, kinds)
    if not apart and (end := _t(s, at, kinds)):
        return end
    behind += apart
    if s[behind] == c"n" and (end := _t(s, behind + 1 + _is(s[behind + 1], SPACE, kinds), kinds)):
        return end
    if apart and (end := _t(s, behind, kinds)):
        return end
    return at


cdef inline Py_ssize_t _run(
    const Py_UCS4* s, Py_ssize_t at, Py_ssize_t most, int mask, int wanted, const uint8_t* kinds
) noexcept nogil:
    """The end of a run of such characters, at most so many."""
    most += at
    while at < most and _kind(s[at], kinds) & mask == wanted:
        at += 1
    return at


cdef Py_ssize_t _end(const Py_UCS4* s, Py_ssize_t at, Py_ssize_t longest, const uint8_t* kinds) noexcept nogil:
    """Where the token ends that begins at `at`, as `text.PIECE` has it; 0 where the pattern must be asked."""
    cdef Py_UCS4 c = s[at]
    cdef int kind = _kind(c, kinds) & KIND, group
    cdef Py_ssize_t end
    if kind == HAN or kind == EMOJI or kind == DIGIT or c == c"#" or c == c"*":
        if _kind(s[at + 1], kinds) & JOINS:
            return 0
    if kind == HAN or kind == EMOJI or kind == SINGLE:
        return at + 1
    if kind == LETTER:
        if c == c"h" and s[at + 1] == c"t" and s[at + 2] == c"t" and s[at + 3] == c"p":
            return 0
        if c == c"w" and s[at + 1] == c"w" and s[at + 2] == c"w" and s[at + 3] == c".":
            return 0
        return _not(s, _run(s, at + 1, longest, GOES_ON, GOES_ON, kinds), kinds)
    if kind == LATIN:
        return _run(s, at + 1, longest, GOES_ON, GOES_ON, kinds)
    if kind == DIGIT:
        end = _run(s, at, 20, KIND, DIGIT, kinds)
        for group in range(5):
            if s[end] not in (c".", c",", c":", c"/", c"-") or not _is(s[end + 1], DIGIT, kinds):
                break
            end = _run(s, end + 1, 20, KIND, DIGIT, kinds)
        return end
    if kind == RUN:
        end = at + 1
        while end < at + longest and s[end] == c:
            end += 1
        return end
    if kind == APOSTROPHE:
        end = at + 2
        if s[at + 1] in (c"r", c"v") and s[end] == c"e" or s[at + 1] == c"l" and s[end] == c"l":
            end += 1
        elif s[at + 1] not in (c"s", c"d", c"m"):
            return at + 1
        return at + 1 if _is(s[end], LETTER, kinds) else end
    if kind == OTHER:
        end = _run(s, at, longest, LETTERS, LETTERS, kinds)
        return end if s[end] < LEAST_UNKNOWN else 0
    return 0


def cut(
    list texts, Py_ssize_t most_tokens, Py_ssize_t most_chars, Py_ssize_t longest, const uint8_t[::1] kinds, object match,
    object surfaces, list new, int32_t[::1] of_code, int64_t[::1] slots, int64_t[::1] counts
):
    """`Tokeniser._cut` and `_look_up`: the slots of all tokens, one text after the other, and how many each text has."""
    cdef Py_UCS4* s
    cdef const uint8_t* kind = &kinds[0]
    cdef Py_ssize_t at, begin, end, size, filled = 0, before, number, most = 0
    cdef str text, surface
    for one in texts:
        if not isinstance(one, str):
            raise TypeError(f"a text is a {type(one).__name__}: give strings")
        most = max(most, len(<str> one))
    s = <Py_UCS4*> malloc((min(most, most_chars) + PADDING) * sizeof(Py_UCS4))
    if s == NULL:
        raise MemoryError
    try:
        for number in range(len(texts)):
            text = <str> texts[number]
            size = len(text)
            if size > most_chars:
                text = text[:most_chars]
                size = most_chars
            PyUnicode_AsUCS4(text, s, size + PADDING, 0)
            while size and _is(s[size - 1], SPACE, kind):
                size -= 1
            for at in range(size, size + PADDING):
                s[at] = 0
            at, before = 0, filled
            while at < size and filled - before < most_tokens:
                begin = at
                while _is(s[at], SPACE, kind):
                    at += 1
                end = _end(s, at, longest, kind)
                if end == 0:
                    end = match(text, begin, size).end()
                if end == begin + 1 and s[begin] < <Py_UCS4> of_code.shape[0] and of_code[s[begin]] >= 0:
                    slots[filled] = of_code[s[begin]]
                else:
                    surface = PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, s + begin, end - begin)
                    slots[filled] = _slot(surface, surfaces, new)
                    if end == begin + 1 and _is(s[begin], HAN, kind):
                        of_code[s[begin]] = slots[filled]
                filled += 1
                at = end
            counts[number] = filled - before
    finally:
        free(s)
    return filled


cdef inline int64_t _slot(str surface, object surfaces, list new) except -1:
    """`_Surfaces.__getitem__`."""
    cdef PyObject* found = PyDict_GetItem(surfaces, surface)
    if found != NULL:
        return <int64_t> <object> found
    cdef int64_t slot = len(surfaces)
    PyDict_SetItem(surfaces, surface, slot)
    new.append(surface)
    return slot


cdef struct Kept:  # a term of the text that is being written
    Py_ssize_t span
    Py_ssize_t mood  # row of `towards`; NOBODY where it is the message's


def analyses(
    list texts, list languages, const int64_t[::1] until, const int64_t[:, ::1] moods, const int64_t[::1] where,
    const int64_t[::1] first, const int64_t[::1] last, const int32_t[::1] begins, const int32_t[::1] ends,
    const int64_t[::1] channel, const double[::1] sure, const int64_t[:, ::1] towards, Py_ssize_t aspect, Py_ssize_t most,
    Py_ssize_t tokens, tuple labels, tuple names, const uint8_t[::1] kinds, object splits_grapheme, object normalized, type made
):
    """`scorer._written_in_python`; `until` is NOBODY for a text that is scored whole, `made` the type of the tuples."""
    cdef list found = [], norms
    cdef dict mentions
    cdef Page page
    cdef Kept* kept = <Kept*> malloc((where.shape[0] + 1) * sizeof(Kept))
    cdef uint8_t* taken = <uint8_t*> calloc(tokens + 1, 1)
    cdef Py_ssize_t number, span = 0, heard = 0, at, label
    cdef int64_t counts[3]
    cdef str text
    page.begin = page.at = <char*> malloc(PAGE)
    try:
        if kept == NULL or taken == NULL or page.begin == NULL:
            raise MemoryError
        page.end = page.begin + PAGE
        for number in range(len(texts)):
            text, norms, mentions = <str> texts[number], [], {}
            while span < where.shape[0] and where[span] == number:
                kept[len(norms)].span, kept[len(norms)].mood = span, heard if channel[span] == aspect else NOBODY
                heard += channel[span] == aspect
                if (
                    memchr(taken + first[span], 1, last[span] - first[span]) == NULL
                    and _readable(text, begins[span], ends[span])
                    and not _splits(text, begins[span], &kinds[0], splits_grapheme)
                    and not _splits(text, ends[span], &kinds[0], splits_grapheme)
                    and _keeps(text, kept, norms, mentions, begins, ends, most, normalized)
                ):
                    memset(taken + first[span], 1, last[span] - first[span])
                span += 1
            page.at = page.begin
            _language(&page, <dict> languages[number])
            label = _terms(&page, text, kept, norms, mentions, moods[number], begins, ends, channel, sure, towards, labels, names)
            _fixed(&page, b',"truncated":')
            _fixed(&page, b"false" if until[number] < 0 else b'true,"scored_until":')
            if until[number] >= 0:
                _integer(&page, until[number])
            counts[0] = counts[1] = counts[2] = 0
            for at in range(len(norms)):
                counts[channel[kept[at].span]] += 1
            found.append(tuple.__new__(made, (
                PyBytes_FromStringAndSize(page.begin, page.at - page.begin), languages[number]["code"], True, <str> labels[label],
                (moods[number, 0] / <double> WHOLE, moods[number, 1] / <double> WHOLE, moods[number, 2] / <double> WHOLE),
                until[number] >= 0, (counts[0], counts[1], counts[2]), None,
            )))
        assert span == where.shape[0], "spans do not stand in the order of their texts"
    finally:
        free(page.begin)
        free(taken)
        free(kept)
    return found


cdef bint _keeps(
    str text, Kept* kept, list norms, dict mentions, const int32_t[::1] begins, const int32_t[::1] ends, Py_ssize_t most,
    object normalized
) except -1:
    """Whether the span behind those that are kept is a term: one more, or a further place of one, which `mentions` notes."""
    cdef Py_ssize_t span = kept[len(norms)].span, before
    cdef str said = PyUnicode_Substring(text, begins[span], ends[span])
    cdef str norm = said.lower() if _folds_by_case(said) else <str> normalized(said)
    if norm in norms:
        before = norms.index(norm)
        if before not in mentions:
            mentions[before] = [(begins[kept[before].span], ends[kept[before].span])]
        mentions[before].append((begins[span], ends[span]))
        return True
    if len(norms) == most:
        return False
    norms.append(norm)
    return True


cdef Py_ssize_t _terms(
    Page* page, str text, Kept* kept, list norms, dict mentions, const int64_t[::1] mood, const int32_t[::1] begins,
    const int32_t[::1] ends, const int64_t[::1] channel, const double[::1] sure, const int64_t[:, ::1] towards, tuple labels,
    tuple names
) except -1:
    """The sentiment of the message and its key terms; returns the label, by its number."""
    cdef Py_ssize_t at, span, row, mood_at, mood_size, label
    cdef str norm
    _fixed(page, b',"sentiment":')
    mood_at = page.at - page.begin
    label = _sentiment(page, mood[0], mood[1], mood[2], labels)
    mood_size = page.at - page.begin - mood_at
    _fixed(page, b',"key_terms":[')
    for at in range(len(norms)):
        span, row, norm = kept[at].span, kept[at].mood, <str> norms[at]
        _fixed(page, b',{"text":' if at else b'{"text":')
        _string(page, text, begins[span], ends[span])
        _fixed(page, b',"normalized":')
        _word(page, norm)
        _fixed(page, b',"kind":')
        _word(page, <str> names[channel[span]])
        _fixed(page, b',"salience":')
        _parts(page, <int64_t> rint(sure[span] * WHOLE))
        _fixed(page, b',"begin":')
        _integer(page, begins[span])
        _fixed(page, b',"end":')
        _integer(page, ends[span])
        _fixed(page, b',"sentiment":')
        if row == NOBODY:
            _room(page, mood_size)  # before the place is taken that it is copied from
            _put(page, page.begin + mood_at, mood_size)
        else:
            _sentiment(page, towards[row, 0], towards[row, 1], towards[row, 2], labels)
        if at in mentions:
            _mentions(page, sorted(mentions[at]))
        _put(page, b"}", 1)
    _put(page, b"]", 1)
    return label


cdef inline bint _readable(str text, Py_ssize_t begin, Py_ssize_t end) noexcept:
    """`spans.readable` of text[begin:end]."""
    cdef Py_ssize_t at
    cdef Py_UCS4 c
    cdef bint found = False
    for at in range(begin, end):
        c = PyUnicode_READ_CHAR(text, at)
        if 0xD800 <= c < 0xE000:
            return False
        found = found or Py_UNICODE_ISALNUM(c)
    return found


cdef inline bint _splits(str text, Py_ssize_t at, const uint8_t* kinds, object splits_grapheme) except -1:
    """`spans.splits_grapheme`, which is asked where a character beside the cut may be part of a larger grapheme."""
    if at <= 0 or at >= len(text):
        return False
    if _kind(PyUnicode_READ_CHAR(text, at - 1), kinds) & UNBROKEN and _kind(PyUnicode_READ_CHAR(text, at), kinds) & UNBROKEN:
        return False
    return splits_grapheme(text, at)


cdef inline bint _folds_by_case(str said) noexcept:
    """Whether `text.fold` only changes the case of this: ASCII, single spaces within, no # before."""
    cdef Py_ssize_t at, size = len(said)
    cdef Py_UCS4 c, before = c" "
    if not PyUnicode_IS_ASCII(said) or PyUnicode_READ_CHAR(said, 0) == c"#":
        return False
    for at in range(size):
        c = PyUnicode_READ_CHAR(said, at)
        if c <= c" " and (c != c" " or before == c" "):
            return False
        before = c
    return before != c" "


def lay_out(
    const int32_t[:, ::1] ids, const int64_t[::1] lengths, const int64_t[::1] bounds, tuple near, tuple windows,
    int32_t[:, ::1] features, int32_t[::1] text, int32_t[:, ::1] beside, list places
):
    """`flat.feeds`, but for pooling: fills the arrays (rows of all passes, …) that are handed in."""
    cdef Py_ssize_t number, row = 0, unit = 0, first, size, at, feature, run, begin
    cdef Py_ssize_t passes = bounds.shape[0] - 1
    cdef int32_t[:, ::1] place
    cdef tuple window
    for run in range(passes):
        begin = row
        for feature in range(features.shape[0]):
            features[feature, row] = 0
        text[row] = 0
        row += 1
        for number in range(bounds[run], bounds[run + 1]):
            size = lengths[number]
            for at in range(size):
                for feature in range(features.shape[0]):
                    features[feature, row + at] = ids[unit + at, feature]
                text[row + at] = <int32_t> (number - bounds[run])
            row += size
            unit += size
        _shift(near, features[0], lengths[bounds[run] : bounds[run + 1]], begin, False, beside)
        for window, place in zip(windows, places):
            _shift(window, features[0], lengths[bounds[run] : bounds[run + 1]], begin, True, place)


cdef int _shift(
    tuple away, const int32_t[::1] words, const int64_t[::1] lengths, Py_ssize_t begin, bint own, int32_t[:, ::1] groups
) except -1:
    """`flat.feeds.shifted` over one pass: of the words, or where `own`, of their places in the pass."""
    cdef Py_ssize_t group, number, at, there, offset, row, count = len(away)
    for group in range(count):
        offset = away[group]
        groups[begin, group] = <int32_t> group
        row = begin + 1
        for number in range(lengths.shape[0]):
            for at in range(lengths[number]):
                there = at + offset
                if there < 0 or there >= lengths[number]:
                    groups[row + at, group] = <int32_t> group
                else:
                    there += row
                    groups[row + at, group] = <int32_t> ((there - begin if own else words[there]) * count + group)
            row += lengths[number]
    return 0


cdef void _total(
    const float* values, const int64_t* rows, Py_ssize_t size, Py_ssize_t columns, float* total, float* room
) noexcept nogil:
    """The sum of so many rows of `values`, those that `rows` names, in numpy's order (pairwise summation), for the same last bit.

    `room` has place for `SUMS` sums of all columns: 8, and one more at each of the levels that halving takes.
    """
    cdef Py_ssize_t at, column, lane, half
    cdef const float* row
    if size < 8:
        for column in range(columns):
            total[column] = 0
        for at in range(size):
            row = values + rows[at] * columns
            for column in range(columns):
                total[column] += row[column]
    elif size <= 128:
        for lane in range(8):
            row = values + rows[lane] * columns
            for column in range(columns):
                room[lane * columns + column] = row[column]
        for at in range(8, size - size % 8):
            row = values + rows[at] * columns
            for column in range(columns):
                room[(at & 7) * columns + column] += row[column]
        for column in range(columns):
            total[column] = (
                (room[column] + room[columns + column]) + (room[2 * columns + column] + room[3 * columns + column])
            ) + (
                (room[4 * columns + column] + room[5 * columns + column])
                + (room[6 * columns + column] + room[7 * columns + column])
            )
        for at in range(size - size % 8, size):
            row = values + rows[at] * columns
            for column in range(columns):
                total[column] += row[column]
    else:
        half = size // 2
        half -= half % 8
        _total(values, rows, half, columns, total, room + columns)
        _total(values, rows + half, size - half, columns, room, room + columns)
        for column in range(columns):
            total[column] += room[column]


def read(
    const int64_t[:, ::1] table, const float[:, ::1] evidence, const int64_t[::1] slots, const int64_t[::1] counts,
    tuple rows, tuple chinese, int32_t[:, ::1] features, int32_t[::1] begins, int32_t[::1] ends, float[:, ::1] said,
    int64_t[:, ::1] of_text
):
    """`Tokeniser._read`: what the tokens of each text are, where they stand, and what they say of its language.

    `rows` has the lexicon's first affix, first bigram and number of bigrams, and the key of a text's start; `chinese`
    the steps, bounds, ending and begun of `ChineseWords`.
    """
    cdef const int64_t[::1] steps = chinese[0]
    cdef const int32_t[::1] bounds = chinese[1], ending = chinese[2], begun = chinese[3]
    cdef int64_t first_affix = rows[0], first_bigram = rows[1], place, lacking
    cdef uint32_t bigrams = rows[2], start = rows[3], before, key, mixed
    cdef Py_ssize_t number, at = 0, begin, until, columns = evidence.shape[1], column
    cdef const int64_t* row
    cdef const int64_t* slot = &slots[0] if slots.shape[0] else NULL
    cdef float* room = <float*> malloc(SUMS * columns * sizeof(float))
    cdef uint8_t* covered = <uint8_t*> calloc(max(1, slots.shape[0]), 1)
    if room == NULL or covered == NULL:
        free(room)
        free(covered)
        raise MemoryError
    for number in range(counts.shape[0]):
        place, lacking, before, until = 0, 0, start, at + counts[number]
        if counts[number]:
            _total(&evidence[0, 0], slot + at + 1, counts[number] - 1, columns, &said[number, 0], room)
            for column in range(columns):
                said[number, column] = evidence[slot[at], column] + said[number, column]
        while at < until:
            row = &table[slot[at], 0]
            key = <uint32_t> row[2]
            mixed = (before * <uint32_t> 0x9E3779B1) ^ (key * <uint32_t> 0x85EBCA77)
            mixed ^= mixed >> 15
            features[at, 0] = <int32_t> row[0]
            features[at, 1] = <int32_t> (first_bigram + mixed % bigrams)
            features[at, 2] = <int32_t> row[1]
            begins[at] = <int32_t> (place + row[4])
            place += row[3]
            ends[at] = <int32_t> place
            lacking += row[0] >= first_affix
            before = key
            at += 1
        for begin in range(until - counts[number], until):
            if features[begin, 0] < begun.shape[0] and begun[features[begin, 0]]:
                _stand(features, covered, begin, until, begun[features[begin, 0]], steps, bounds, ending)
        of_text[number, 0] = place
        of_text[number, 1] = lacking
    free(room)
    free(covered)


cdef inline void _stand(
    int32_t[:, ::1] features, uint8_t* covered, Py_ssize_t begin, Py_ssize_t until, int64_t state, const int64_t[::1] steps,
    const int32_t[::1] bounds, const int32_t[::1] ending
) noexcept nogil:
    """`ChineseWords.standing_in` for words that begin at `begin`, after those that begin further ahead; `covered` (tokens,) is how
    long the word is that covers each, 0 for none."""
    cdef int64_t key
    cdef int32_t low, high, middle
    cdef Py_ssize_t size, token
    for size in range(2, min(LONGEST, until - begin) + 1):
        key = state << ROW_BITS | features[begin + size - 1, 0]
        low, high = bounds[state], bounds[state + 1]
        while low < high:
            middle = (low + high) // 2
            if steps[middle] < key:
                low = middle + 1
            else:
                high = middle
        if low == bounds[state + 1] or steps[low] != key:
            return
        state = low + 1
        if ending[state]:
            for token in range(begin, begin + size):
                if covered[token] < size:
                    covered[token] = <uint8_t> size
                    features[token, 2] = ending[state]


def sums(const float[:, ::1] values, const int64_t[::1] begin, const int64_t[::1] end, float[:, ::1] found):
    """`spans.span_sums`."""
    cdef Py_ssize_t span, column, columns = values.shape[1], at, longest = 1
    for span in range(begin.shape[0]):
        longest = max(longest, end[span] - begin[span])
    cdef float* room = <float*> malloc(SUMS * columns * sizeof(float))
    cdef int64_t* rows = <int64_t*> malloc(longest * sizeof(int64_t))
    if room == NULL or rows == NULL:
        free(room)
        free(rows)
        raise MemoryError
    for span in range(begin.shape[0]):
        for at in range(end[span] - begin[span]):
            rows[at] = begin[span] + at
        _total(&values[0, 0], rows + 1, end[span] - begin[span] - 1, columns, &found[span, 0], room)
        for column in range(columns):
            found[span, column] = values[begin[span], column] + found[span, column]
    free(room)
    free(rows)


def runs(
    const float[::1] odds, const float[::1] opens, const float[::1] inside, const uint8_t[::1] first,
    const float[::1] levels, int64_t[::1] begin, int64_t[::1] end
):
    """The spans of `spans._nested`; how many there are."""
    cdef Py_ssize_t at, start, token, tokens = first.shape[0], number, found = 0
    cdef bint within
    cdef uint8_t* borders = <uint8_t*> calloc(max(1, odds.shape[0]), 1)
    if borders == NULL:
        raise MemoryError
    for number in range(levels.shape[0]):
        start, token = -1, 0
        for at in range(odds.shape[0] + 1):
            token = 0 if token == tokens else token
            within = at < odds.shape[0] and odds[at] > levels[number]
            if start >= 0 and not (within and not first[token] and not opens[at] > inside[at]):
                if not (borders[start] & BEGAN and borders[at - 1] & ENDED):
                    begin[found], end[found] = start, at
                    found += 1
                borders[start] |= BEGINS
                borders[at - 1] |= ENDS
                start = -1
            if within and start < 0:
                start = at
            token += 1
        for at in range(odds.shape[0]):
            borders[at] >>= 2  # what was of this level is of the one before
    free(borders)
    return found


def evidence(
    const float[:, ::1] logits, const float[::1] odds, const float[::1] parted, const uint8_t[::1] first,
    const int64_t[::1] begin, const int64_t[::1] at, const int64_t[::1] length, const float[::1] total,
    const float[::1] logs, tuple specific, tuple bounds, float[:, ::1] said
):
    """The evidence of `spans.spans_of`, but for sums, logarithms and where a span is in its channel, which are handed in."""
    cdef float unread = bounds[0], read = bounds[1], sure = bounds[2], least, goes_on
    cdef Py_ssize_t tokens = first.shape[0], span, token, one, behind, text = 0
    cdef float* read_for = <float*> malloc(2 * tokens * sizeof(float))
    cdef const float* channel
    if read_for == NULL:
        raise MemoryError
    for one in range(2):
        channel = &odds[<Py_ssize_t> specific[one] * tokens]
        for token in range(tokens):
            if first[token]:
                text = token
                read_for[2 * text + one] = channel[token]
            read_for[2 * text + one] = max(read_for[2 * text + one], channel[token])
        for token in range(tokens):
            text = token if first[token] else text
            read_for[2 * token + one] = _within(read_for[2 * text + one], unread, read)
    for span in range(begin.shape[0]):
        behind = begin[span] + length[span]
        least = odds[begin[span]]
        for token in range(begin[span], behind):
            least = min(least, odds[token])
        behind = behind if behind < odds.shape[0] else 0
        goes_on = -sure if first[behind % tokens] else logits[2, behind] - parted[behind]
        said[span, 0] = <float> (<double> total[span] / <double> length[span])
        said[span, 1] = least
        said[span, 2] = logs[length[span] - 1]
        said[span, 3] = read_for[2 * at[span]]
        said[span, 4] = read_for[2 * at[span] + 1]
        said[span, 5] = _within(goes_on, -sure, sure)
        said[span, 6] = _within(logits[1, begin[span]] - logits[2, begin[span]], -sure, sure)
    free(read_for)


cdef inline float _within(float value, float least, float most) noexcept nogil:
    return min(max(value, least), most)


def pool(const int64_t[::1] lengths, const int64_t[::1] bounds, int32_t[::1] rows):
    """The rows of `flat._pooled`, of all passes one after the other: (texts, longest) each."""
    cdef Py_ssize_t run, number, at, longest, place, filled = 0
    for run in range(bounds.shape[0] - 1):
        longest, place = 0, 1
        for number in range(bounds[run], bounds[run + 1]):
            longest = max(longest, lengths[number])
        for number in range(bounds[run], bounds[run + 1]):
            for at in range(longest):
                rows[filled + at] = <int32_t> (place + at) if at < lengths[number] else 0
            filled += longest
            place += lengths[number]


def events(
    list records, list texts, list analyses, object site_of, bytes model, tuple about, dict labelled, object now_ms, bytes now,
    bint keep_input, type analysed, type made
):
    """`Codec.usual`. `site_of` tells what the outcomes of a partition share, a `_Place` and `TopicLimits.bounds`; `about` are the
    headers of the model, `now` is the time of publishing as JSON."""
    cdef list found = [], headers
    cdef dict sites = {}
    cdef tuple position, said, place = None, bounds = None, key
    cdef object record, analysis, sent_ms, label, name = None
    cdef bytes event
    cdef Py_ssize_t at, size
    cdef Page page
    page.begin = page.at = <char*> malloc(PAGE)
    if page.begin == NULL:
        raise MemoryError
    page.end = page.begin + PAGE
    try:
        for at in range(len(records)):
            record, analysis = records[at], analyses[at]
            if type(analysis) is not analysed or analysis[MODEL] is not None or record.headers or record.origin is not None:
                found.append(None)
                continue
            position, said, sent_ms = <tuple> record.position, <tuple> analysis, record.timestamp_ms
            if place is None or position[0] is not name or position[1] != key[1]:  # they come in runs
                name = position[0]
                key = (name, position[1])
                if key not in sites:
                    sites[key] = site_of(*key)
                place, bounds = <tuple> sites[key][0], <tuple> sites[key][1]
            page.at = page.begin
            _event(&page, position[2], texts[at], said[JSON], place, model, sent_ms, now)
            if keep_input:
                _fixed(&page, b',"input":')
                _bytes(&page, b"" if record.value is None else record.value)
            _put(&page, b"}", 1)
            size = page.at - page.begin
            if size + (0 if record.key is None else len(record.key)) >= bounds[2]:
                found.append(None)
                continue
            event = PyBytes_FromStringAndSize(page.begin, size)
            label = said[LABEL] or "none"
            headers = [
                ("textstream.id", _numbered(&page, place[2], position[2])),
                ("textstream.source", _numbered(&page, place[3], position[2])),
                labelled[label],
            ]
            headers.extend(about)
            if not bounds[0] <= sent_ms <= bounds[1]:
                headers.append(("textstream.timestamp", b"%d" % sent_ms))
                sent_ms = now_ms
            found.append(made(record, "enriched", event, headers, sent_ms, label))
    finally:
        free(page.begin)
    return found


cdef int _event(
    Page* page, int64_t offset, str text, bytes analysis, tuple place, bytes model, int64_t sent_ms, bytes now
) except -1:
    """`Codec._event`, up to what is kept of the input."""
    _bytes(page, place[0])
    _integer(page, offset)
    _fixed(page, b'","text":')
    _word(page, text)
    _put(page, b",", 1)
    _bytes(page, analysis)
    _fixed(page, b',"model":')
    _bytes(page, model)
    _bytes(page, place[1])
    _integer(page, offset)
    _fixed(page, b',"timestamp":')
    _moment(page, sent_ms)
    _fixed(page, b'},"processed_at":')
    return _bytes(page, now)


cdef bytes _numbered(Page* page, bytes before, int64_t number):
    page.at = page.begin
    _bytes(page, before)
    _integer(page, number)
    return PyBytes_FromStringAndSize(page.begin, page.at - page.begin)


cdef class Noted:
    """`Sink._on_delivery` of one outcome, to be called with the broker's answer; what was refused is left to that."""

    cdef object reports, on_refused, item, outcome

    def __init__(self, object reports, object on_refused, object item, object outcome):
        self.reports, self.on_refused, self.item, self.outcome = reports, on_refused, item, outcome

    def __call__(self, object error, object message):
        if error is None:
            self.reports.append((self.item, self.outcome, None, message.latency() or 0.0))
        else:
            self.on_refused(self.item, self.outcome, error, message)


def fold(list texts, str other, tuple labels, const double[::1] confidence, const double[::1] length, const double[::1] unknown):
    """`quality.quality`: for each language its sums, that of confidence, and its bins; and how many terms of each kind."""
    cdef Py_ssize_t sure_at = SUMMED + len(labels), length_at = sure_at + confidence.shape[0] + 1
    cdef Py_ssize_t unknown_at = length_at + length.shape[0] + 1, width = unknown_at + unknown.shape[0] + 1
    cdef dict rows = {}
    cdef list found = [], numbers
    cdef tuple pair, said, chances
    cdef str code
    cdef int64_t kinds[3]
    cdef int64_t tokens, lacking
    cdef double sure
    cdef Py_ssize_t row, at
    for pair in texts:
        said = <tuple> pair[1]
        rows.setdefault(said[LANGUAGE] if said[SUPPORTED] else other, len(rows))
    cdef int64_t* counts = <int64_t*> calloc(len(rows) * width + 1, sizeof(int64_t))
    cdef double* sums = <double*> calloc(len(rows) + 1, sizeof(double))
    cdef int64_t* own
    kinds[0] = kinds[1] = kinds[2] = 0
    try:
        if counts == NULL or sums == NULL:
            raise MemoryError
        for pair in texts:
            said = <tuple> pair[1]
            row = rows[said[LANGUAGE] if said[SUPPORTED] else other]
            own = counts + row * width
            tokens, lacking = pair[0].count, pair[0].unknown
            own[0] += 1
            own[1] += <bint> said[TRUNCATED]
            own[2] += tokens
            own[3] += lacking
            if said[LABEL] is not None:
                own[SUMMED + labels.index(said[LABEL])] += 1
            chances = said[CHANCES]
            if chances is not None:
                sure = max(chances)
                sums[row] += sure
                own[sure_at + _bin(confidence, sure)] += 1
            own[length_at + _bin(length, <double> tokens)] += 1
            own[unknown_at + _bin(unknown, <double> lacking / <double> max(tokens, 1))] += 1
            for at in range(3):
                kinds[at] += <int64_t> said[TERMS][at]
        for code, row in rows.items():
            own = counts + row * width
            numbers = [own[at] for at in range(width)]
            found.append((code, numbers[:SUMMED], sums[row], (
                numbers[SUMMED:sure_at], numbers[sure_at:length_at], numbers[length_at:unknown_at], numbers[unknown_at:],
            )))
    finally:
        free(counts)
        free(sums)
    return found, (kinds[0], kinds[1], kinds[2])


cdef inline Py_ssize_t _bin(const double[::1] bounds, double value) noexcept:
    """The first bound that is no less, as `searchsorted` has it."""
    cdef Py_ssize_t at = 0
    while at < bounds.shape[0] and bounds[at] < value:
        at += 1
    return at


cdef struct Page:  # bytes that are being written
    char* begin
    char* at
    char* end


cdef inline int _room(Page* page, Py_ssize_t size) except -1:
    """Room for so many bytes more."""
    return 0 if page.end - page.at >= size else _grow(page, size)


cdef int _grow(Page* page, Py_ssize_t size) except -1:
    cdef Py_ssize_t used = page.at - page.begin
    cdef char* larger = <char*> realloc(page.begin, 2 * (used + size))
    if larger == NULL:
        raise MemoryError
    page.begin, page.at, page.end = larger, larger + used, larger + 2 * (used + size)
    return 0


cdef inline int _put(Page* page, const char* said, Py_ssize_t size) except -1:
    _room(page, size)
    memcpy(page.at, said, size)
    page.at += size
    return 0


cdef inline int _fixed(Page* page, const char* said) except -1:
    return _put(page, said, strlen(said))


cdef inline int _bytes(Page* page, bytes said) except -1:
    return _put(page, PyBytes_AS_STRING(said), PyBytes_GET_SIZE(said))


cdef inline int _word(Page* page, str word) except -1:
    """A whole string as a string of JSON."""
    return _string(page, word, 0, len(word))


cdef int _string(Page* page, str text, Py_ssize_t begin, Py_ssize_t end) except -1:
    """text[begin:end] as a string of JSON, escaped as orjson escapes it."""
    cdef Py_ssize_t at
    cdef int kind = PyUnicode_KIND(text)
    cdef void* data = PyUnicode_DATA(text)
    cdef uint32_t c
    _room(page, 6 * (end - begin) + 2)
    cdef char* to = page.at
    to[0] = c'"'
    to += 1
    for at in range(begin, end):
        c = <uint32_t> PyUnicode_READ(kind, data, at)
        if c < 0x80:
            if c >= 0x20 and c != c'"' and c != c"\\":
                to[0] = <char> c
                to += 1
            else:
                to = _escaped(to, c)
        elif c < 0x800:
            to[0], to[1] = <char> (0xC0 | c >> 6), <char> (0x80 | c & 0x3F)
            to += 2
        elif c < 0x10000:
            if 0xD800 <= c < 0xE000:
                raise TypeError("str is not valid UTF-8: surrogates not allowed")
            to[0], to[1], to[2] = <char> (0xE0 | c >> 12), <char> (0x80 | c >> 6 & 0x3F), <char> (0x80 | c & 0x3F)
            to += 3
        else:
            to[0], to[1] = <char> (0xF0 | c >> 18), <char> (0x80 | c >> 12 & 0x3F)
            to[2], to[3] = <char> (0x80 | c >> 6 & 0x3F), <char> (0x80 | c & 0x3F)
            to += 4
    to[0] = c'"'
    page.at = to + 1
    return 0


cdef const char* SHORT = b"btn.fr"
cdef const char* HEX = b"0123456789abcdef"


cdef inline char* _escaped(char* to, uint32_t c) noexcept:
    to[0] = c"\\"
    if c == c'"' or c == c"\\":
        to[1] = <char> c
    elif c >= 8 and c <= 13 and c != 11:
        to[1] = SHORT[c - 8]
    else:
        memcpy(to + 1, b"u00", 3)
        to[4], to[5] = <char> (c"0" + (c >> 4)), HEX[c & 15]
        return to + 6
    return to + 2


cdef int _integer(Page* page, int64_t value) except -1:
    """Of what is not negative."""
    cdef char digits[20]
    cdef int at = 20
    while True:
        at -= 1
        digits[at] = <char> (c"0" + value % 10)
        value //= 10
        if value == 0:
            return _put(page, digits + at, 20 - at)


cdef int _moment(Page* page, int64_t ms) except -1:
    """`event.rfc3339` as JSON. Days to dates as Hinnant's "chrono-Compatible Low-Level Date Algorithms" have it: a year begins in
    March, and an era has 146,097 days."""
    if not 0 <= ms <= 253402300799999:
        return _fixed(page, b"null")
    cdef int64_t day = ms // 86400000 + 719468, in_day = ms % 86400000
    cdef int64_t of_era = day % 146097
    cdef int64_t year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    cdef int64_t of_year = of_era - (365 * year + year // 4 - year // 100)
    cdef int64_t month = (5 * of_year + 2) // 153
    _put(page, b'"0000-00-00T00:00:00.000Z"', 26)
    cdef char* at = page.at - 26
    _digits(at + 9, 2, of_year - (153 * month + 2) // 5 + 1)
    month = month + 3 if month < 10 else month - 9
    _digits(at + 1, 4, year + day // 146097 * 400 + (month <= 2))
    _digits(at + 6, 2, month)
    _digits(at + 12, 2, in_day // 3600000)
    _digits(at + 15, 2, in_day // 60000 % 60)
    _digits(at + 18, 2, in_day // 1000 % 60)
    _digits(at + 21, 3, in_day % 1000)
    return 0


cdef inline void _digits(char* at, int size, int64_t value) noexcept:
    while size:
        size -= 1
        at[size] = <char> (c"0" + value % 10)
        value //= 10


cdef int _parts(Page* page, int64_t parts) except -1:
    """Ten-thousandths, at most one whole, as the shortest number."""
    _room(page, 8)
    if parts < 0:
        page.at[0] = c"-"
        page.at += 1
        parts = -parts
    page.at[0], page.at[1] = <char> (c"0" + parts // WHOLE), c"."
    page.at += 2
    while True:
        parts = parts % WHOLE * 10
        page.at[0] = <char> (c"0" + parts // WHOLE)
        page.at += 1
        if parts % WHOLE == 0:
            return 0


cdef int _language(Page* page, dict language) except -1:
    """Of a text that the bundle supports."""
    _fixed(page, b'"language":{"code":')
    _word(page, <str> language["code"])
    _fixed(page, b',"probability":')
    _parts(page, <int64_t> rint(<double> language["probability"] * WHOLE))
    return _fixed(page, b',"supported":true}')


cdef Py_ssize_t _sentiment(Page* page, int64_t a, int64_t b, int64_t c, tuple labels) except -1:
    """`calibrate.sentiments` of one row; the label, by its number."""
    cdef Py_ssize_t best = (0 if a >= c else 2) if a >= b else (1 if b >= c else 2)
    _fixed(page, b'{"label":')
    _word(page, <str> labels[best])
    _fixed(page, b',"score":')
    _parts(page, c - a)
    _fixed(page, b',"probabilities":{"negative":')
    _parts(page, a)
    _fixed(page, b',"neutral":')
    _parts(page, b)
    _fixed(page, b',"positive":')
    _parts(page, c)
    _fixed(page, b"}}")
    return best


cdef int _mentions(Page* page, list places) except -1:
    cdef Py_ssize_t at
    for at in range(len(places)):
        _fixed(page, b",[" if at else b',"mentions":[[')
        _integer(page, places[at][0])
        _put(page, b",", 1)
        _integer(page, places[at][1])
        _put(page, b"]", 1)
    return _put(page, b"]", 1)

// Package audio tells what kind of sound file some bytes are and how long they play,
// without decoding them: it walks the frames, packets or sample tables of WAV, MPEG
// audio, ADTS, MP4, Ogg, WebM and FLAC.
//
// What a header claims about the length is checked against what the file holds, since
// whoever pays by the minute writes that header. All of it works on any bytes: what is
// broken or cut off is counted as far as it goes.
package audio

package player

const soundChild = "CONGA_SOUND_CHILD"

func playForParent() int { return 0 }
